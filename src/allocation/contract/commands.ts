import type { LineId, LineState, RequestedLine, WhenOutOfStock } from './order-lines';

/** Takes a batch of stock into account. The same again changes nothing. Answer: {@link BatchCreation}. */
export class CreateBatch {
  /**
   * @param ref unique across all SKUs, for ever
   * @param qty units bought, 0 to 2,147,483,647
   * @param eta ISO date of arrival; null: it is in the warehouse
   */
  constructor(
    readonly ref: string,
    readonly sku: string,
    readonly qty: number,
    readonly eta: string | null = null,
  ) {}
}

/** A fact about a batch: its real quantity, its new date of arrival, or both at once. Answer: {@link BatchChange}. */
export class ChangeBatch {
  /** @param change what is undefined stays as it is; an eta of null: it has arrived */
  constructor(
    readonly ref: string,
    readonly change: { readonly qty?: number | undefined; readonly eta?: string | null | undefined },
  ) {}
}

/** A batch will never come, or is recalled. What it promised is promised from others. Answer: {@link BatchChange}. */
export class CancelBatch {
  constructor(readonly ref: string) {}
}

/**
 * What is known of several batches, in their order, in one step: if one of them is refused, nothing happens. Answer: that of each
 * command, in their order.
 */
export class RecordBatches {
  constructor(readonly facts: readonly (CreateBatch | ChangeBatch)[]) {}
}

/** How a line or an order is to be treated when it meets other demand. */
export interface AllocationOptions {
  readonly whenOutOfStock?: WhenOutOfStock | undefined;
  /** An integer; higher goes first among the backorders of a SKU. Default 0. */
  readonly priority?: number | undefined;
}

/** Promises one order line to one batch. The same again gets the same answer. Answer: {@link Allocation}. */
export class Allocate {
  constructor(
    readonly line: RequestedLine,
    readonly options: AllocationOptions = {},
  ) {}
}

export type OrderMode = 'all-or-nothing' | 'partial';

/** Promises the lines of an order in one step. Answer: {@link OrderAllocation}. */
export class AllocateOrder {
  /** @param lines each with its own identity, all of the order `orderId` */
  constructor(
    readonly orderId: string,
    readonly lines: readonly RequestedLine[],
    readonly options: AllocationOptions & { readonly mode?: OrderMode | undefined } = {},
  ) {}
}

/** Changes the quantity of a line: release and allocate in one step, all or nothing. Answer: {@link Allocation}. */
export class AmendLine {
  constructor(
    readonly line: LineId,
    readonly qty: number,
  ) {}
}

/** Gives a line's promise, or its place in the queue, back. Otherwise nothing happens. Answer: {@link Release}. */
export class ReleaseLine {
  constructor(readonly line: LineId) {}
}

/** Releases every line of an order. Answer: {@link Release}. */
export class ReleaseOrder {
  constructor(readonly orderId: string) {}
}

/** The answer to {@link Allocate} and {@link AmendLine}. A refused line is an outcome, not an error: it is remembered. */
export interface Allocation extends LineState {
  /** True: it stood like this before the command, which changed nothing. */
  readonly repeated: boolean;
}

/** A line of an order that could not be promised, and the code and sentence that say why. */
export interface FailedLine extends RequestedLine {
  readonly code: string;
  readonly message: string;
}

/** The answer to {@link AllocateOrder}. `failed` is empty unless the order's mode is `partial`. */
export interface OrderAllocation {
  readonly orderId: string;
  readonly lines: readonly Allocation[];
  readonly failed: readonly FailedLine[];
}

/** The answer to {@link CreateBatch}. */
export interface BatchCreation {
  readonly batch: BatchState;
  /** False: the same batch was there before. */
  readonly created: boolean;
  /** Backorders that the new stock could serve. */
  readonly promised: readonly LineState[];
}

/** The answer to {@link ChangeBatch} and {@link CancelBatch}: everything that happened to order lines. */
export interface BatchChange {
  readonly batch: BatchState;
  /** Lines that lost their promise from this batch, as they stood before. */
  readonly released: readonly LineState[];
  /** Those of them that were promised again in the same step, as they stand now. */
  readonly reallocated: readonly LineState[];
  /** Those of them that fit nowhere and wait now, ahead of others of their priority. */
  readonly shortfall: readonly LineState[];
  /** Backorders that the change could serve. */
  readonly promised: readonly LineState[];
}

/** The answer to {@link ReleaseLine} and {@link ReleaseOrder}. */
export interface Release {
  /** Lines that were promised or waiting, as they stood before. */
  readonly released: readonly LineState[];
  /** Backorders that could be served with what was given back. */
  readonly promised: readonly LineState[];
}

/** A batch and what is left of it. Quantities in units: `available = purchased - promised`. */
export interface BatchState {
  readonly ref: string;
  readonly sku: string;
  readonly purchased: number;
  readonly promised: number;
  readonly available: number;
  /** ISO date of arrival; null: it is in the warehouse. */
  readonly eta: string | null;
  readonly cancelled: boolean;
}
