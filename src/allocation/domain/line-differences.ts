import { NotLoaded } from '../../kernel/unit-of-work';
import type { LineState } from '../contract/order-lines';
import type { LineDifference } from '../contract/queries';
import { PlanTooLarge } from './errors';
import { type ProductNeeds, together } from './product-needs';
import type { ProductRepository } from './product-repository';

/** By SKU and reference, the dates that batches had before they were changed. */
export type FormerEtas = ReadonlyMap<string, ReadonlyMap<string, string | null>>;

/** Batches whose lines are loaded at once although they may have more of them than the answer may hold. */
const atOnce = 8;

/**
 * All lines that stand otherwise than they are stored, or have another date: each once, by SKU, order and line.
 * @throws PlanTooLarge if more than `maxLines` were touched
 */
export function lineDifferences(
  products: ProductRepository,
  formerEtas: FormerEtas,
  maxLines: number,
): LineDifference[] {
  const differences: LineDifference[] = [];
  const missing: ProductNeeds[] = [];
  let touched = 0;
  let toLoad = 0;
  for (const product of products.known()) {
    try {
      for (const [before, after] of product.lineStates(formerEtas.get(product.sku) ?? new Map())) {
        touched += 1;
        if (touched > maxLines) throw new PlanTooLarge(maxLines);
        if (same(before, after)) continue;
        const { orderId, lineId, sku } = (before ?? after)!;
        differences.push({ orderId, lineId, sku, before, after });
      }
    } catch (error) {
      // What the products lack is asked for at once, but not much more than the answer may hold.
      if (!(error instanceof NotLoaded)) throw error;
      const needs = error.needs as ProductNeeds;
      missing.push(needs);
      for (const { untilQty } of needs.oldestOf ?? []) toLoad += untilQty;
      if (toLoad > maxLines && missing.length >= atOnce) break;
    }
  }
  if (missing.length > 0) throw new NotLoaded(together(missing));
  return differences.sort((a, b) => byText(a.sku, b.sku) || byText(a.orderId, b.orderId) || byText(a.lineId, b.lineId));
}

const same = (a: LineState | null, b: LineState | null): boolean =>
  a === b ||
  (a !== null &&
    b !== null &&
    a.qty === b.qty &&
    a.status === b.status &&
    a.batchRef === b.batchRef &&
    a.eta === b.eta &&
    a.priority === b.priority);

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
