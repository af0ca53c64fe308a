/** One row of the table: a ratio of two things that are measured in turn. */
export interface Figure {
  readonly id: string;
  /** What is compared with what, in one line. */
  readonly what: string;
  readonly target: number;
  /** Whether the target is a floor or a ceiling for the median. */
  readonly better: 'higher' | 'lower';
  /** Takes too long to be run unless it is asked for. */
  readonly long?: true;
  /** What this machine lacks to measure it. */
  readonly lacks?: string | undefined;
  /** Measures pairs, alternating the two sides, and returns the ratio of each. */
  measure(context: Context): Promise<number[]>;
}

export interface Context {
  /** A PostgreSQL of the benchmark's own, with durable commits. */
  freshDatabase(): Promise<string>;
  /** Says on the terminal what is going on. */
  note(text: string): void;
  /** Short runs that only show that the benchmark works. */
  readonly quick: boolean;
}

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly target: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly pass: boolean;
}

export function rowOf({ id, what, target, better }: Figure, ratios: readonly number[]): Row {
  const sorted = [...ratios].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1]!;
  const pass = better === 'higher' ? median >= target : median <= target;
  return { id, what, target, min: sorted[0]!, median, max: sorted.at(-1)!, pass };
}
