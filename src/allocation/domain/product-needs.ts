import type { LineId } from '../contract/order-lines';

/** Lines of one batch, from one end of the order in which they were promised, until they make up `untilQty` units. */
export interface BatchLinesNeed {
  readonly sku: string;
  readonly ref: string;
  readonly untilQty: number;
}

/** The head of a product's queue of backorders, until it makes up `untilQty` units. */
export interface BackordersNeed {
  readonly sku: string;
  readonly untilQty: number;
}

/**
 * What a piece of work needs. Products are named by `skus`, or by what leads to them: `refs` (batches), `orders` (with
 * all their lines), `lines`. Each is loaded with its open batches and the head of its queue; the rest only if named.
 */
export interface ProductNeeds {
  readonly skus?: readonly string[];
  /** Batches, open or not. A reference that nobody has yet is a need too: then it is known that it is free. */
  readonly refs?: readonly string[];
  readonly orders?: readonly string[];
  /** Lines by identity, with the batches that they are promised from. */
  readonly lines?: readonly LineId[];
  readonly newestOf?: readonly BatchLinesNeed[];
  readonly oldestOf?: readonly BatchLinesNeed[];
  readonly backorders?: readonly BackordersNeed[];
}

/** Several needs as one. */
export const together = (needs: readonly ProductNeeds[]): ProductNeeds => ({
  skus: needs.flatMap((one) => one.skus ?? []),
  refs: needs.flatMap((one) => one.refs ?? []),
  orders: needs.flatMap((one) => one.orders ?? []),
  lines: needs.flatMap((one) => one.lines ?? []),
  newestOf: needs.flatMap((one) => one.newestOf ?? []),
  oldestOf: needs.flatMap((one) => one.oldestOf ?? []),
  backorders: needs.flatMap((one) => one.backorders ?? []),
});
