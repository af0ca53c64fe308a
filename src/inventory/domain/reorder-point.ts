import type { ThresholdState } from '../contract/queries';

/** Stock that is low has recovered at a tenth more than its reorder point, and at one unit more at least. */
export const usualClearAt = (reorderPoint: number): number => reorderPoint + Math.max(1, Math.ceil(reorderPoint / 10));

/** What stands for any characters, or none, in a pattern of SKUs. */
const anything = '*';

/** Whether a pattern is one of many SKUs. */
export const isOfMany = (pattern: string): boolean => pattern.includes(anything);

/** What every SKU that matches begins with. */
export const prefixOf = (pattern: string): string => pattern.split(anything, 1)[0]!;

/** Whether a pattern is of a SKU. */
export const matches = (pattern: string, sku: string): boolean => fits(pattern.split(anything), sku);

/** Each part is taken where it first fits, so that it never has to go back. */
function fits(parts: readonly string[], sku: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return sku === first;
  const last = parts.at(-1)!;
  if (!sku.startsWith(first) || !sku.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = sku.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + last.length <= sku.length;
}

/**
 * Which of the thresholds decides about a SKU: its own; otherwise, of those whose pattern matches, the one with the most
 * characters that are not asterisks; of equal ones the first in order.
 */
export function decidingAmong<T extends { readonly pattern: string }>(
  thresholds: readonly T[],
): (sku: string) => T | undefined {
  const own = new Map(thresholds.map((threshold) => [threshold.pattern, threshold]));
  const ofMany = thresholds
    .filter(({ pattern }) => isOfMany(pattern))
    .map((threshold) => ({ threshold, parts: threshold.pattern.split(anything) }))
    .sort((a, b) => literals(b.parts) - literals(a.parts) || (a.threshold.pattern < b.threshold.pattern ? -1 : 1));
  return (sku) => own.get(sku) ?? ofMany.find(({ parts }) => fits(parts, sku))?.threshold;
}

const literals = (parts: readonly string[]): number => parts.join('').length;

/**
 * Whether stock is low, which depends on whether it was: it becomes low at the reorder point or below, and is so until it has
 * risen to `clearAt`. Without a threshold it never is.
 */
export function isLow(wasLow: boolean, available: number, threshold: ThresholdState | undefined): boolean {
  if (!threshold) return false;
  return wasLow ? available < threshold.clearAt : available <= threshold.reorderPoint;
}
