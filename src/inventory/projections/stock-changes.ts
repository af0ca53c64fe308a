import {
  Allocated,
  Backordered,
  BatchCancelled,
  BatchCreated,
  BatchEtaChanged,
  BatchQuantityChanged,
  Deallocated,
  productEvents,
} from '../../allocation/contract/events';
import type { RequestedLine } from '../../allocation/contract/order-lines';
import type { DomainEvent } from '../../kernel/event';
import { type EventClass, revive, type StoredEvent } from '../../platform/event-log/stored-event';

const classes: ReadonlyMap<string, EventClass> = new Map(productEvents.map((event) => [event.type, event]));

/** What is new about a batch: what is null stays as it is, but the date, which `dated` says. */
interface BatchDifference {
  readonly sku: string;
  readonly ref: string;
  purchased: number | null;
  dated: boolean;
  eta: string | null;
  cancelled: boolean;
  /** Units promised more; negative: fewer. */
  promised: number;
}

/** What events of any number of SKUs come to: one difference for each SKU, batch and waiting line that they touch. */
export class StockChanges {
  readonly #versions = new Map<string, number>();
  readonly #batches = new Map<string, BatchDifference>();
  readonly #lines = new Map<string, { sku: string; order_id: string; line_id: string; qty: number }>();
  readonly #redated = new Set<string>();

  constructor(events: readonly StoredEvent[]) {
    for (const stored of events) {
      const eventClass = classes.get(stored.type);
      if (!eventClass) throw new RangeError(`an event that says nothing about stock: ${stored.type}`);
      this.apply(revive(stored, eventClass) as DomainEvent<{ sku: string }>, stored.version);
    }
  }

  get versions() {
    return Array.from(this.#versions, ([sku, version]) => ({ sku, version }));
  }

  get batches(): readonly BatchDifference[] {
    return [...this.#batches.values()];
  }

  /** Lines, and how many units they wait for: 0, if they wait no more. */
  get lines() {
    return [...this.#lines.values()];
  }

  /** The SKUs whose next arrival may be another. */
  get redated(): readonly string[] {
    return [...this.#redated];
  }

  private apply(event: DomainEvent<{ sku: string }>, version: number): void {
    this.#versions.set(event.data.sku, version);
    if (event instanceof BatchCreated) {
      const { qty: purchased, eta } = event.data;
      this.know(event.data, { purchased, dated: true, eta });
    } else if (event instanceof BatchQuantityChanged) this.know(event.data, { purchased: event.data.qty });
    else if (event instanceof BatchEtaChanged) this.know(event.data, { dated: true, eta: event.data.eta });
    else if (event instanceof BatchCancelled) this.know(event.data, { cancelled: true });
    else if (event instanceof Allocated) {
      this.batch(event.data.sku, event.data.batchRef).promised += event.data.qty;
      // Every other line that is promised was not waiting.
      if (event.data.reason === 'backorder-served') this.waits(event.data, 0);
    } else if (event instanceof Deallocated) {
      if (event.data.batchRef === null) this.waits(event.data, 0);
      else this.batch(event.data.sku, event.data.batchRef).promised -= event.data.qty;
    } else if (event instanceof Backordered) this.waits(event.data, event.data.qty);
  }

  private know({ sku, ref }: { sku: string; ref: string }, news: Partial<BatchDifference>): void {
    Object.assign(this.batch(sku, ref), news);
    if (news.dated || news.cancelled) this.#redated.add(sku);
  }

  private batch(sku: string, ref: string): BatchDifference {
    let batch = this.#batches.get(ref);
    if (!batch) {
      batch = { sku, ref, purchased: null, dated: false, eta: null, cancelled: false, promised: 0 };
      this.#batches.set(ref, batch);
    }
    return batch;
  }

  private waits({ sku, orderId, lineId }: RequestedLine, qty: number): void {
    this.#lines.set(`${sku}/${orderId}/${lineId}`, { sku, order_id: orderId, line_id: lineId, qty });
  }
}
