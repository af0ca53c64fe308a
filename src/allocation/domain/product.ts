import { AggregateRoot } from '../../kernel/aggregate-root';
import { NotLoaded } from '../../kernel/unit-of-work';
import type {
  Allocation,
  AllocationOptions,
  BatchChange,
  BatchCreation,
  ChangeBatch,
  CreateBatch,
  Release,
} from '../contract/commands';
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
import type { LineId, LineState, RequestedLine } from '../contract/order-lines';
import type { AllocationPolicy } from './allocation-policy';
import { Batch } from './batch';
import {
  AmendmentOutOfStock,
  BatchExists,
  BatchIsCancelled,
  LineAlreadyAllocated,
  TooManyLines,
  UnknownBatch,
  UnknownLine,
} from './errors';
import { LineBook, type End } from './line-book';
import { OrderLine } from './order-line';
import type { ProductNeeds } from './product-needs';

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/**
 * The aggregate: everything of one SKU that must be decided together - its batches, the lines that they are promised to,
 * and the queue of those that wait. Not all of it is in memory; what is missing is asked for by {@link NotLoaded}.
 */
export class Product extends AggregateRoot {
  /** How many order lines one change may move; more would hold the SKU's lock for too long. */
  static readonly maxLinesMovedAtOnce = 100_000;

  constructor(
    readonly sku: string,
    version: number,
    private readonly policy: AllocationPolicy,
    private readonly batches: Map<string, Batch> = new Map(),
    private readonly lines: LineBook = new LineBook(sku),
  ) {
    super(version);
  }

  /**
   * Promises the whole line from the best batch. A line that fits nowhere waits or is refused, as the caller wishes;
   * both are outcomes that are remembered.
   * @throws LineAlreadyAllocated if the line stands with another quantity
   */
  allocate(line: RequestedLine, { whenOutOfStock = 'refuse', priority = 0 }: AllocationOptions = {}): Allocation {
    const known = this.lines.find(line);
    if (known && known.status !== 'refused') {
      if (known.qty !== line.qty) throw new LineAlreadyAllocated(this.state(known));
      return { ...this.state(known), repeated: true };
    }
    const batch = this.isKeptForBackorders(priority) ? undefined : this.policy.choose(line, this.batches.values());
    if (batch) return { ...this.state(this.promise(line, priority, batch, 'requested')), repeated: false };
    if (whenOutOfStock === 'backorder') {
      return { ...this.state(this.backorder(line, priority, 'out-of-stock')), repeated: false };
    }
    if (known?.qty === line.qty) return { ...this.state(known), repeated: true };
    return { ...this.state(this.refuse(line, priority)), repeated: false };
  }

  /**
   * Changes the quantity of a line. A promised line may move to another batch; a waiting one keeps its place.
   * @throws UnknownLine; AmendmentOutOfStock if the new quantity cannot be had, and then nothing changes
   */
  amend(id: LineId, qty: number): Allocation {
    const known = this.lines.find(id);
    if (!known) throw new UnknownLine(id);
    if (known.qty === qty) return { ...this.state(known), repeated: true };
    const wanted = { ...known.state(null), qty };
    if (known.status === 'backordered') {
      this.backorder(wanted, known.priority, 'amended', known);
    } else {
      const standing = this.state(known);
      if (known.status === 'promised') this.batch(known.batchRef!).release(known);
      const grows = known.status === 'refused' || qty > known.qty;
      const batch =
        grows && this.isKeptForBackorders(known.priority)
          ? undefined
          : this.policy.choose(wanted, this.batches.values());
      if (!batch) throw new AmendmentOutOfStock(standing, qty);
      if (known.status === 'promised') this.recordDeallocated(known, 'amended');
      this.promise(wanted, known.priority, batch, 'amended');
    }
    this.serveBackorders();
    return { ...this.state(this.lines.find(id)!), repeated: false };
  }

  /** Gives back the promises of lines, or their places in the queue; a line that has neither stays as it is. */
  release(ids: readonly LineId[]): Release {
    const released: LineState[] = [];
    for (const id of ids) {
      const line = this.lines.find(id);
      if (!line || line.status === 'refused') continue;
      released.push(this.state(line));
      if (line.status === 'promised') this.batch(line.batchRef!).release(line);
      this.recordDeallocated(line, 'released');
      this.lines.remove(line);
    }
    return { released, promised: released.length > 0 ? this.serveBackorders() : [] };
  }

  /**
   * Takes a batch into account and serves those who wait.
   * @throws BatchExists if the reference is known with other content, or by another SKU
   */
  addBatch({ ref, sku, qty, eta }: CreateBatch): BatchCreation {
    const known = this.batches.get(ref);
    if (known) {
      const same = known.sku === sku && known.purchased === qty && known.eta === eta && !known.cancelled;
      if (!same) throw new BatchExists(ref);
      return { batch: known.state(), created: false, promised: [] };
    }
    const batch = new Batch({ ref, sku, purchased: qty, promised: 0, eta, cancelled: false });
    this.batches.set(ref, batch);
    this.record(new BatchCreated({ ref, sku, qty, eta }));
    const promised = this.serveBackorders();
    return { batch: batch.state(), created: true, promised };
  }

  /** Changes the date, then the quantity of a batch, so that lines which must move see the new date. */
  changeBatch(ref: string, { qty, eta }: ChangeBatch['change']): BatchChange {
    const first = eta === undefined ? unchanged(this.openBatch(ref)) : this.changeBatchEta(ref, eta);
    if (qty === undefined) return first;
    const second = this.changeBatchQuantity(ref, qty);
    return {
      batch: second.batch,
      released: [...first.released, ...second.released],
      reallocated: [...first.reallocated, ...second.reallocated],
      shortfall: second.shortfall,
      promised: [...first.promised, ...second.promised],
    };
  }

  /**
   * The warehouse's fact, never refused for what was promised: lines that no longer fit are released, newest promise
   * first, and promised again in the order of their promises; those that fit nowhere wait ahead of their priority.
   * @throws UnknownBatch, BatchIsCancelled, TooManyLines
   */
  changeBatchQuantity(ref: string, qty: number): BatchChange {
    const batch = this.openBatch(ref);
    if (qty === batch.purchased) return unchanged(batch);
    const excess = batch.promised - qty;
    const released = excess > 0 ? this.takeLines(ref, 'newest', excess) : [];
    this.record(new BatchQuantityChanged({ ref, sku: this.sku, qty, previousQty: batch.purchased }));
    const before = released.map((line) => this.displace(line, batch, 'batch-shrunk'));
    batch.changeQuantity(qty);
    return this.settleChange(batch, released, before);
  }

  /**
   * The promises of the batch stand with the new date. If it is later, lines move, oldest promise first, to batches that
   * are better now, up to the first line that finds none.
   * @throws UnknownBatch, BatchIsCancelled, TooManyLines
   */
  changeBatchEta(ref: string, eta: string | null): BatchChange {
    const batch = this.openBatch(ref);
    if (eta === batch.eta) return unchanged(batch);
    const later = eta !== null && (batch.eta === null || eta > batch.eta);
    this.record(new BatchEtaChanged({ ref, sku: this.sku, eta, previousEta: batch.eta }));
    batch.changeEta(eta);
    const released: LineState[] = [];
    const reallocated: LineState[] = [];
    for (const line of later ? this.linesWithBetterChoice(batch) : []) {
      const better = this.betterThan(batch, line);
      if (!better) break;
      released.push(this.displace(line, batch, 'batch-delayed'));
      reallocated.push(this.state(this.promise(line, line.priority, better, 'reallocated')));
    }
    return { batch: batch.state(), released, reallocated, shortfall: [], promised: this.serveBackorders() };
  }

  /**
   * The batch will not come: what it promised is promised from others or waits, as when it shrinks to nothing.
   * @throws UnknownBatch, TooManyLines
   */
  cancelBatch(ref: string): BatchChange {
    const batch = this.batch(ref);
    if (batch.cancelled) return unchanged(batch);
    const released = batch.promised > 0 ? this.takeLines(ref, 'newest', batch.promised) : [];
    this.record(new BatchCancelled({ ref, sku: this.sku }));
    const before = released.map((line) => this.displace(line, batch, 'batch-cancelled'));
    batch.cancel();
    return this.settleChange(batch, released, before);
  }

  /** A copy with the same past, whose changes do not show here until {@link settle}. */
  copy(): Product {
    const batches = new Map<string, Batch>();
    for (const [ref, batch] of this.batches) batches.set(ref, batch.copy());
    return new Product(this.sku, this.version, this.policy, batches, this.lines.copy());
  }

  /** Makes this copy the past of later copies. */
  settle(): void {
    this.lines.settle();
  }

  /** Lets a batch that was loaded later be seen; one that is here already may have been changed and stays. */
  know(batch: Batch): void {
    if (!this.batches.has(batch.ref)) this.batches.set(batch.ref, batch);
  }

  /** The batches in memory, changed or not. */
  get knownBatches(): Iterable<Batch> {
    return this.batches.values();
  }

  /** Lines of an order that were changed in memory. */
  *changedLinesOf(orderId: string): Generator<OrderLine> {
    for (const line of this.lines.changes()) if (line.orderId === orderId) yield line;
  }

  /** All settled changes of lines: what was stored, and what is to be stored (null: nothing). By key. */
  lineDifferences(): Iterable<[key: string, before: OrderLine | null, now: OrderLine | null]> {
    return this.lines.differences();
  }

  /** Stock that could be had is kept for the queue's head, and for nobody of its priority or below. */
  private isKeptForBackorders(priority: number): boolean {
    for (const head of this.lines.waiting()) return head.priority >= priority;
    return false;
  }

  /** Promises to those who wait, strictly in the order of the queue, until one does not fit. */
  private serveBackorders(): LineState[] {
    const served: LineState[] = [];
    let available = 0;
    for (const batch of this.batches.values()) available += batch.available;
    if (available === 0) return served;
    for (const line of this.lines.waiting(available + 1)) {
      const batch = this.policy.choose(line, this.batches.values());
      if (!batch) break;
      if (served.length === Product.maxLinesMovedAtOnce) throw new TooManyLines(this.sku, served.length);
      served.push(this.state(this.promise(line, line.priority, batch, 'backorder-served')));
    }
    return served;
  }

  private takeLines(ref: string, end: End, units: number): OrderLine[] {
    const taken: OrderLine[] = [];
    let missing = units;
    for (const line of this.lines.promisedFrom(ref, end, units)) {
      if (taken.length === Product.maxLinesMovedAtOnce) throw new TooManyLines(this.sku, taken.length);
      taken.push(line);
      missing -= line.qty;
      if (missing <= 0) break;
    }
    return taken;
  }

  /** Takes a line's promise from a batch; returns how it stood before. */
  private displace(
    line: OrderLine,
    batch: Batch,
    reason: 'batch-shrunk' | 'batch-delayed' | 'batch-cancelled',
  ): LineState {
    const before = this.state(line);
    batch.release(line);
    this.recordDeallocated(line, reason);
    return before;
  }

  /** Promises released lines again, the oldest promise first, then serves the queue with what is left. */
  private settleChange(batch: Batch, released: readonly OrderLine[], before: readonly LineState[]): BatchChange {
    const change: Mutable<BatchChange> = {
      batch: batch.state(),
      released: [...before],
      reallocated: [],
      shortfall: [],
      promised: [],
    };
    for (const line of [...released].reverse()) {
      const other = this.policy.choose(line, this.batches.values());
      if (other) change.reallocated.push(this.state(this.promise(line, line.priority, other, 'reallocated')));
      else change.shortfall.push(this.state(this.backorder(line, line.priority, 'shortfall', line)));
    }
    change.promised = this.serveBackorders();
    change.batch = batch.state();
    return change;
  }

  private linesWithBetterChoice(batch: Batch): OrderLine[] {
    let better = 0;
    for (const other of this.batches.values()) if (other !== batch) better += other.available;
    return better > 0 && batch.promised > 0 ? this.takeLines(batch.ref, 'oldest', better) : [];
  }

  private betterThan(batch: Batch, line: OrderLine): Batch | undefined {
    const others = [...this.batches.values()].filter((other) => this.policy.compare(other, batch, line) < 0);
    return this.policy.choose(line, others);
  }

  private promise(line: RequestedLine, priority: number, batch: Batch, reason: Allocated['data']['reason']): OrderLine {
    batch.promise(line);
    const { orderId, lineId, sku, qty } = line;
    const { ref: batchRef, eta } = batch;
    const since = this.record(new Allocated({ orderId, lineId, sku, qty, batchRef, eta, priority, reason }));
    const promised = OrderLine.promised(line, priority, batchRef, since);
    this.lines.put(promised);
    return promised;
  }

  /** @param place whose place in the queue the line takes; a new place at the end of its priority if there is none */
  private backorder(
    line: RequestedLine,
    priority: number,
    reason: Backordered['data']['reason'],
    place?: OrderLine,
  ): OrderLine {
    const { orderId, lineId, sku, qty } = line;
    const displaced = place !== undefined && (place.displaced || place.status === 'promised');
    const since = place?.since ?? this.version + 1;
    this.record(new Backordered({ orderId, lineId, sku, qty, priority, displaced, since, reason }));
    const waiting = OrderLine.waiting(line, priority, displaced, since);
    this.lines.put(waiting);
    return waiting;
  }

  private refuse(line: RequestedLine, priority: number): OrderLine {
    const { orderId, lineId, sku, qty } = line;
    const refused = OrderLine.refused(
      line,
      priority,
      this.record(new OutOfStock({ orderId, lineId, sku, qty, priority })),
    );
    this.lines.put(refused);
    return refused;
  }

  private recordDeallocated(
    { orderId, lineId, sku, qty, batchRef }: OrderLine,
    reason: Deallocated['data']['reason'],
  ): void {
    this.record(new Deallocated({ orderId, lineId, sku, qty, batchRef, reason }));
  }

  private state(line: OrderLine): LineState {
    return line.state(line.batchRef === null ? null : this.batch(line.batchRef).eta);
  }

  private openBatch(ref: string): Batch {
    const batch = this.batch(ref);
    if (batch.cancelled) throw new BatchIsCancelled(ref);
    return batch;
  }

  private batch(ref: string): Batch {
    const batch = this.batches.get(ref);
    if (!batch) throw new NotLoaded<ProductNeeds>({ refs: [ref] });
    return batch;
  }
}

const unchanged = (batch: Batch): BatchChange => ({
  batch: batch.state(),
  released: [],
  reallocated: [],
  shortfall: [],
  promised: [],
});
