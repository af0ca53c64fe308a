import type { Context } from './figure';

/** One side of a comparison: what is measured, and how to measure it once. */
export interface Side {
  readonly name: string;
  measure(): Promise<number>;
}

/**
 * Measures two sides in turn, after one run of each that does not count.
 * @returns the first side to the second, of each pair
 */
export async function inPairs(context: Context, unit: string, first: Side, second: Side): Promise<number[]> {
  await first.measure();
  await second.measure();
  const ratios: number[] = [];
  for (let pair = 0; pair < (context.quick ? 1 : 5); pair += 1) {
    const [a, b] = [await first.measure(), await second.measure()];
    ratios.push(a / b);
    context.note(`${first.name} ${readable(a)} ${unit}, ${second.name} ${readable(b)} ${unit}: ${(a / b).toFixed(2)}`);
  }
  return ratios;
}

export const readable = (value: number): string => (value < 100 ? value.toFixed(2) : Math.round(value).toString());

export const medianOf = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
