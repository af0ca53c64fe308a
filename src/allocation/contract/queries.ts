import type { BatchState } from './commands';
import type { LineState } from './order-lines';

/** The lines of an order, promised, waiting or refused. Answer: `LineState[]`, empty for an order that is not known. */
export class GetOrder {
  constructor(readonly orderId: string) {}
}

/** One batch. Answer: `BatchState | null`. */
export class GetBatch {
  constructor(readonly ref: string) {}
}

/** Batches in order of SKU and reference, cancelled ones included. Answer: {@link BatchPage}. */
export class ListBatches {
  /**
   * @param limit how many at most, 1 to 200
   * @param after the place behind which the page starts: the `next` of the page before
   */
  constructor(
    readonly limit: number,
    readonly sku?: string,
    readonly after?: BatchPlace,
  ) {}
}

export interface BatchPlace {
  readonly sku: string;
  readonly ref: string;
}

export interface BatchPage {
  readonly batches: readonly BatchState[];
  /** Where the next page starts; null on the last. */
  readonly next: BatchPlace | null;
}

export type { BatchState, LineState };
