import type { Context } from './figure';

/** A table of things that are measured side by side: it describes, and has no target. */
export interface Comparison {
  readonly id: string;
  readonly what: string;
  measure(context: Context): Promise<readonly Record<string, string | number>[]>;
}

/** A comparison's rows as a table of Markdown. */
export function markdownOf(rows: readonly Record<string, string | number>[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  const alignment = columns.map((column) => (typeof rows[0]![column] === 'number' ? '--:' : '---'));
  return [line(columns), line(alignment), ...rows.map((row) => line(columns.map((column) => row[column]!)))].join('\n');
}
