import { DomainEvent } from '../../kernel/event';
import type { RequestedLine } from './order-lines';

interface BatchFact {
  readonly ref: string;
  readonly sku: string;
}

/** A batch of `qty` units was taken into account. */
export class BatchCreated extends DomainEvent<BatchFact & { readonly qty: number; readonly eta: string | null }> {
  static override readonly type = 'allocation.batch-created.v1';
}

/** A batch turned out to hold `qty` units. */
export class BatchQuantityChanged extends DomainEvent<
  BatchFact & { readonly qty: number; readonly previousQty: number }
> {
  static override readonly type = 'allocation.batch-quantity-changed.v1';
}

/** A batch will arrive, or has arrived (`eta` null), at another time than was known. */
export class BatchEtaChanged extends DomainEvent<
  BatchFact & { readonly eta: string | null; readonly previousEta: string | null }
> {
  static override readonly type = 'allocation.batch-eta-changed.v1';
}

/** A batch will never come, or was recalled. */
export class BatchCancelled extends DomainEvent<BatchFact> {
  static override readonly type = 'allocation.batch-cancelled.v1';
}

/** A line was promised from a batch. */
export class Allocated extends DomainEvent<
  RequestedLine & {
    readonly batchRef: string;
    readonly eta: string | null;
    readonly priority: number;
    readonly reason: 'requested' | 'amended' | 'backorder-served' | 'reallocated';
  }
> {
  static override readonly type = 'allocation.allocated.v1';
}

/** A line gave its promise back; with `batchRef` null it only left the queue of backorders. */
export class Deallocated extends DomainEvent<
  RequestedLine & {
    readonly batchRef: string | null;
    readonly reason: 'released' | 'amended' | 'batch-shrunk' | 'batch-delayed' | 'batch-cancelled';
  }
> {
  static override readonly type = 'allocation.deallocated.v1';
}

/**
 * A line waits for stock. Its place in the queue: by `priority`, higher first; then those that were `displaced` from a
 * batch; then by `since`, the version of the SKU at which it was promised (displaced) or came to wait.
 */
export class Backordered extends DomainEvent<
  RequestedLine & {
    readonly priority: number;
    readonly displaced: boolean;
    readonly since: number;
    readonly reason: 'out-of-stock' | 'shortfall' | 'amended';
  }
> {
  static override readonly type = 'allocation.backordered.v1';
}

/** A line was refused because it fits into no batch. */
export class OutOfStock extends DomainEvent<RequestedLine & { readonly priority: number }> {
  static override readonly type = 'allocation.out-of-stock.v1';
}

/** The name of the stream that the events of a SKU are in. */
export const streamOf = (sku: string): string => `product:${sku}`;

/** The events that the stream of a SKU is made of. */
export const productEvents = [
  BatchCreated,
  BatchQuantityChanged,
  BatchEtaChanged,
  BatchCancelled,
  Allocated,
  Deallocated,
  Backordered,
  OutOfStock,
] as const;
