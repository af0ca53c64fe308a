import type { DomainEvent } from '../../kernel/event';
import {
  Allocated,
  Backordered,
  BatchCancelled,
  BatchCreated,
  BatchEtaChanged,
  BatchQuantityChanged,
  Deallocated,
  OutOfStock,
} from '../contract/events';
import type { BatchState } from '../contract/commands';
import type { RequestedLine } from '../contract/order-lines';
import { OrderLine } from './order-line';

/** A batch as the events tell it. */
export type FoldedBatch = { -readonly [K in keyof Omit<BatchState, 'available'>]: BatchState[K] };

/**
 * A product as the events of its stream tell it, and nothing else: its batches by reference and its lines by
 * {@link OrderLine.key}. It decides nothing, so that it can bear witness.
 */
export class ProductFold {
  readonly batches = new Map<string, FoldedBatch>();
  readonly lines = new Map<string, OrderLine>();

  constructor(readonly sku: string) {}

  /** @throws RangeError if the event cannot follow those before it */
  apply(version: number, event: DomainEvent): void {
    if (event instanceof BatchCreated) this.addBatch(event.data);
    else if (event instanceof BatchQuantityChanged) this.batch(event.data.ref).purchased = event.data.qty;
    else if (event instanceof BatchEtaChanged) this.batch(event.data.ref).eta = event.data.eta;
    else if (event instanceof BatchCancelled) this.batch(event.data.ref).cancelled = true;
    else if (event instanceof Allocated) this.promise(event.data, version);
    else if (event instanceof Deallocated) this.release(event.data);
    else if (event instanceof Backordered) {
      const { priority, displaced, since } = event.data;
      this.put(OrderLine.waiting(event.data, priority, displaced, since));
    } else if (event instanceof OutOfStock) this.put(OrderLine.refused(event.data, event.data.priority, version));
    else throw new RangeError(`an event of a type that a product does not have: ${event.type}`);
  }

  private addBatch({ ref, sku, qty, eta }: BatchCreated['data']): void {
    if (this.batches.has(ref)) throw new RangeError(`batch ${ref} is created again`);
    this.batches.set(ref, { ref, sku, purchased: qty, promised: 0, eta, cancelled: false });
  }

  private promise(data: Allocated['data'], version: number): void {
    if (this.find(data)?.status === 'promised') throw new RangeError(`${nameOf(data)} is promised twice`);
    this.batch(data.batchRef).promised += data.qty;
    this.put(OrderLine.promised(data, data.priority, data.batchRef, version));
  }

  private release(data: Deallocated['data']): void {
    const line = this.find(data);
    if (!line || line.batchRef !== data.batchRef || line.qty !== data.qty)
      throw new RangeError(`${nameOf(data)} gives back what it has not: ${data.qty} from ${data.batchRef}`);
    if (data.batchRef !== null) this.batch(data.batchRef).promised -= data.qty;
    this.lines.delete(line.key);
  }

  private put(line: OrderLine): void {
    this.lines.set(line.key, line);
  }

  private find(line: RequestedLine): OrderLine | undefined {
    return this.lines.get(OrderLine.keyOf(line));
  }

  private batch(ref: string): FoldedBatch {
    const batch = this.batches.get(ref);
    if (!batch) throw new RangeError(`there is no batch ${ref}`);
    return batch;
  }
}

const nameOf = ({ orderId, lineId }: RequestedLine): string => `line ${lineId} of order ${orderId}`;
