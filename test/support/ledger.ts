import type { DomainEvent } from '../../src/kernel/event';
import {
  Allocated,
  Backordered,
  BatchCancelled,
  BatchCreated,
  BatchEtaChanged,
  BatchQuantityChanged,
  Deallocated,
  OutOfStock,
} from '../../src/allocation/contract/events';
import type { BatchState } from '../../src/allocation/contract/commands';
import type { LineId, LineStatus, RequestedLine } from '../../src/allocation/contract/order-lines';

type LedgerBatch = { -readonly [K in keyof Omit<BatchState, 'available'>]: BatchState[K] };

export interface LedgerLine extends RequestedLine {
  readonly status: LineStatus;
  readonly batchRef: string | null;
  readonly priority: number;
  readonly displaced: boolean;
  readonly since: number;
}

/** What a reader of the events knows: the fold of the streams, from their data alone. */
export class Ledger {
  readonly batches = new Map<string, LedgerBatch>();
  readonly lines = new Map<string, LedgerLine>();
  readonly versions = new Map<string, number>();

  apply({ stream, version, event }: { stream: string; version: number; event: DomainEvent }): void {
    this.versions.set(stream, version);
    if (event instanceof BatchCreated) {
      const { ref, sku, qty, eta } = event.data;
      this.batches.set(ref, { ref, sku, purchased: qty, promised: 0, eta, cancelled: false });
    } else if (event instanceof BatchQuantityChanged) {
      this.batches.get(event.data.ref)!.purchased = event.data.qty;
    } else if (event instanceof BatchEtaChanged) {
      this.batches.get(event.data.ref)!.eta = event.data.eta;
    } else if (event instanceof BatchCancelled) {
      this.batches.get(event.data.ref)!.cancelled = true;
    } else if (event instanceof Allocated) {
      const { batchRef, priority } = event.data;
      this.batches.get(batchRef)!.promised += event.data.qty;
      this.put(event.data, { status: 'promised', batchRef, priority, displaced: false, since: version });
    } else if (event instanceof Backordered) {
      const { priority, displaced, since } = event.data;
      this.put(event.data, { status: 'backordered', batchRef: null, priority, displaced, since });
    } else if (event instanceof OutOfStock) {
      const { priority } = event.data;
      this.put(event.data, { status: 'refused', batchRef: null, priority, displaced: false, since: version });
    } else if (event instanceof Deallocated) {
      if (event.data.batchRef !== null) this.batches.get(event.data.batchRef)!.promised -= event.data.qty;
      this.lines.delete(keyOf(event.data));
    } else {
      throw new Error(`an event of a type that nobody knows: ${event.type}`);
    }
  }

  line(id: LineId): LedgerLine | undefined {
    return this.lines.get(keyOf(id));
  }

  /** Those who wait for a SKU, the first to be served first. */
  queue(sku: string): LedgerLine[] {
    const waiting = [...this.lines.values()].filter((line) => line.sku === sku && line.status === 'backordered');
    return waiting.sort(
      (a, b) => b.priority - a.priority || Number(b.displaced) - Number(a.displaced) || a.since - b.since,
    );
  }

  /** The batches that can take a line, the best first: the warehouse, then by date, then by reference. */
  candidates({ sku, qty }: RequestedLine): LedgerBatch[] {
    const fit = [...this.batches.values()].filter(
      (batch) => batch.sku === sku && !batch.cancelled && batch.purchased - batch.promised >= qty,
    );
    const rank = ({ eta, ref }: LedgerBatch): string => `${eta ?? '0000-00-00'} ${ref}`;
    return fit.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  }

  private put({ orderId, lineId, sku, qty }: RequestedLine, standing: Omit<LedgerLine, keyof RequestedLine>): void {
    const line = { orderId, lineId, sku, qty };
    this.lines.set(keyOf(line), { ...line, ...standing });
  }
}

const keyOf = ({ sku, orderId, lineId }: LineId): string => `${sku}/${orderId}/${lineId}`;
