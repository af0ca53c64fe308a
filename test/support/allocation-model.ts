import type { AllocationOptions, BatchState, ChangeBatch, OrderMode } from '../../src/allocation/contract/commands';
import type { LineId, LineState, RequestedLine } from '../../src/allocation/contract/order-lines';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type ModelBatch = Mutable<Omit<BatchState, 'promised' | 'available'>>;
/** `at`: when it was promised or came to wait; who is displaced keeps that of the promise. */
type ModelLine = Mutable<Omit<LineState, 'eta'>> & { at: number; displaced: boolean };

/** A command that was refused: nothing happened. */
export class Refused extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/**
 * The rules of allocation in their plainest form: two arrays that are searched and sorted again at every step. Slow,
 * without versions or loading, written from the rules and not from the code, so that it can say whether the code is right.
 */
export class AllocationModel {
  batches: ModelBatch[] = [];
  lines: ModelLine[] = [];
  private clock = 0;

  createBatch(ref: string, sku: string, qty: number, eta: string | null) {
    const known = this.batches.find((batch) => batch.ref === ref);
    if (known) {
      const same = known.sku === sku && known.purchased === qty && known.eta === eta && !known.cancelled;
      if (!same) throw new Refused('batch-exists');
      return { batch: this.stock(known), created: false, promised: [] };
    }
    const batch = { ref, sku, purchased: qty, eta, cancelled: false };
    this.batches.push(batch);
    const promised = this.serve(sku);
    return { batch: this.stock(batch), created: true, promised };
  }

  changeBatch(ref: string, change: ChangeBatch['change']) {
    const batch = this.batch(ref);
    if (batch.cancelled) throw new Refused('batch-cancelled');
    const { qty = batch.purchased, eta = batch.eta } = change;
    const delayed = eta !== null && (batch.eta === null || eta > batch.eta);
    batch.eta = eta;
    const moved = delayed ? this.leaveForBetter(batch) : { released: [], reallocated: [] };
    batch.purchased = qty;
    const shrunk = this.shrink(batch, qty);
    return {
      released: [...moved.released, ...shrunk.released],
      reallocated: [...moved.reallocated, ...shrunk.reallocated],
      shortfall: shrunk.shortfall,
      promised: this.serve(batch.sku),
      batch: this.stock(batch),
    };
  }

  cancelBatch(ref: string) {
    const batch = this.batch(ref);
    batch.cancelled = true;
    return { ...this.shrink(batch, 0), promised: this.serve(batch.sku), batch: this.stock(batch) };
  }

  allocate(wanted: RequestedLine, { whenOutOfStock = 'refuse', priority = 0 }: AllocationOptions = {}) {
    this.mustKnow(wanted.sku);
    const known = this.line(wanted);
    if (known && known.status !== 'refused') {
      if (known.qty !== wanted.qty) throw new Refused('line-already-allocated');
      return { ...this.state(known), repeated: true };
    }
    const first = this.queue(wanted.sku)[0];
    const batch = first && first.priority >= priority ? undefined : this.best(wanted);
    if (!batch && whenOutOfStock === 'refuse' && known?.qty === wanted.qty)
      return { ...this.state(known), repeated: true };
    const status = batch ? 'promised' : whenOutOfStock === 'backorder' ? 'backordered' : 'refused';
    const now = {
      ...wanted,
      status,
      batchRef: batch?.ref ?? null,
      priority,
      at: ++this.clock,
      displaced: false,
    } as const;
    this.lines = [...this.lines.filter((line) => line !== known), now];
    return { ...this.state(now), repeated: false };
  }

  allocateOrder(orderId: string, wanted: RequestedLine[], options: AllocationOptions & { mode?: OrderMode } = {}) {
    const lines: (LineState & { repeated: boolean })[] = [];
    const failed: (RequestedLine & { code: string })[] = [];
    for (const line of wanted) {
      try {
        const answer = this.allocate(line, options);
        if (answer.status === 'refused' && options.mode !== 'partial') throw new Refused('out-of-stock');
        lines.push(answer);
      } catch (error) {
        failed.push({ ...line, code: (error as Refused).code });
      }
    }
    if (failed.length > 0 && options.mode !== 'partial') throw new Refused('order-not-promised');
    return { orderId, lines, failed };
  }

  amendLine(id: LineId, qty: number) {
    this.mustKnow(id.sku);
    const line = this.line(id);
    if (!line) throw new Refused('unknown-line');
    if (line.qty === qty && line.status !== 'refused') return { ...this.state(line), repeated: true };
    const more = line.status === 'refused' || qty > line.qty;
    line.qty = qty;
    if (line.status !== 'backordered') {
      line.batchRef = null;
      const first = this.queue(id.sku)[0];
      const batch = more && first && first.priority >= line.priority ? undefined : this.best(line);
      if (!batch) throw new Refused('out-of-stock');
      this.promise(line, batch);
    }
    this.serve(id.sku);
    return { ...this.state(line), repeated: false };
  }

  releaseLine(id: LineId) {
    return this.release([id]);
  }

  releaseOrder(orderId: string) {
    const place = (line: LineId): string => `${line.sku}/${orderId}/${line.lineId}`;
    const lines = this.lines.filter((line) => line.orderId === orderId);
    return this.release(lines.sort((a, b) => (place(a) < place(b) ? -1 : 1)));
  }

  /** Units of a batch that are promised: the sum of its lines. */
  promised(batch: { ref: string }): number {
    return this.on(batch).reduce((sum, line) => sum + line.qty, 0);
  }

  private release(ids: readonly LineId[]) {
    const gone = ids.flatMap((id) => this.line(id) ?? []).filter((line) => line.status !== 'refused');
    const released = gone.map((line) => this.state(line));
    this.lines = this.lines.filter((line) => !gone.includes(line));
    return { released, promised: [...new Set(gone.map((line) => line.sku))].flatMap((sku) => this.serve(sku)) };
  }

  private leaveForBetter(batch: ModelBatch) {
    const released: LineState[] = [];
    const reallocated: LineState[] = [];
    for (const line of this.on(batch).sort((a, b) => a.at - b.at)) {
      const [best] = this.ranked(line.sku).filter((other) => other === batch || this.available(other) >= line.qty);
      if (best === batch || !best) break;
      released.push(this.state(line));
      reallocated.push(this.promise(line, best));
    }
    return { released, reallocated };
  }

  /** Takes lines, the newest first, until the others fit into `qty`; then the oldest first finds a batch or waits. */
  private shrink(batch: ModelBatch, qty: number) {
    const taken: ModelLine[] = [];
    const released: LineState[] = [];
    const reallocated: LineState[] = [];
    const shortfall: LineState[] = [];
    for (const line of this.on(batch).sort((a, b) => b.at - a.at)) {
      if (this.promised(batch) <= qty) break;
      released.push(this.state(line));
      taken.unshift(line);
      line.batchRef = null;
    }
    for (const line of taken) {
      const other = this.best(line);
      if (other) reallocated.push(this.promise(line, other));
      else shortfall.push(this.state(Object.assign(line, { status: 'backordered', displaced: true })));
    }
    return { released, reallocated, shortfall };
  }

  private serve(sku: string): LineState[] {
    const [first] = this.queue(sku);
    const batch = first && this.best(first);
    return batch ? [this.promise(first, batch), ...this.serve(sku)] : [];
  }

  private queue(sku: string): ModelLine[] {
    const rank = (line: ModelLine) => [-line.priority, line.displaced ? 0 : 1, line.at] as const;
    const waiting = this.lines.filter((line) => line.sku === sku && line.status === 'backordered');
    return waiting.sort((a, b) =>
      rank(a)
        .map((value, i) => value - rank(b)[i]!)
        .find((order) => order !== 0)!,
    );
  }

  /** The warehouse first, then by date, then by reference. */
  private ranked(sku: string): ModelBatch[] {
    const rank = ({ eta, ref }: ModelBatch): string => `${eta ?? '0000-00-00'} ${ref}`;
    return this.batches.filter((batch) => batch.sku === sku).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  }

  private best({ sku, qty }: RequestedLine): ModelBatch | undefined {
    return this.ranked(sku).find((batch) => this.available(batch) >= qty);
  }

  private promise(line: ModelLine, { ref }: ModelBatch): LineState {
    Object.assign(line, { status: 'promised', batchRef: ref, at: ++this.clock, displaced: false });
    return this.state(line);
  }

  private available(batch: ModelBatch): number {
    return batch.cancelled ? 0 : batch.purchased - this.promised(batch);
  }

  private on({ ref }: { ref: string }): ModelLine[] {
    return this.lines.filter((line) => line.batchRef === ref);
  }

  private line(id: LineId): ModelLine | undefined {
    return this.lines.find((l) => l.sku === id.sku && l.orderId === id.orderId && l.lineId === id.lineId);
  }

  private batch(ref: string): ModelBatch {
    const batch = this.batches.find((batch) => batch.ref === ref);
    if (!batch) throw new Refused('unknown-batch');
    return batch;
  }

  private mustKnow(sku: string): void {
    if (!this.batches.some((batch) => batch.sku === sku)) throw new Refused('unknown-sku');
  }

  stock(batch: ModelBatch): BatchState {
    return { ...batch, promised: this.promised(batch), available: this.available(batch) };
  }

  private state({ orderId, lineId, sku, qty, status, batchRef, priority }: ModelLine): LineState {
    const eta = this.batches.find((batch) => batch.ref === batchRef)?.eta ?? null;
    return { orderId, lineId, sku, qty, status, batchRef, eta, priority };
  }
}
