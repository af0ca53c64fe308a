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
import type { ExplainAllocation, Explanation, GetQuote, Quote } from '../contract/queries';
import type { AllocationPolicy } from './allocation-policy';
import { Batch } from './batch';
import {
  AmendmentOutOfStock,
  BatchExists,
  BatchIsCancelled,
  InvalidQuantity,
  LineAlreadyAllocated,
  TooManyLines,
  UnknownLine,
} from './errors';
import { explainAllocation } from './explain-allocation';
import { LineBook } from './line-book';
import { OrderLine } from './order-line';
import type { ProductNeeds } from './product-needs';

/** What a change of a batch does to the lines that it was promised to. */
class Moves {
  readonly released: LineState[] = [];
  readonly reallocated: LineState[] = [];
  readonly shortfall: LineState[] = [];
}

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
   * @throws LineAlreadyAllocated if the line stands with another quantity; InvalidQuantity
   */
  allocate(line: RequestedLine, { whenOutOfStock = 'refuse', priority = 0 }: AllocationOptions = {}): Allocation {
    InvalidQuantity.check(line.qty, 1);
    const known = this.lines.find(line);
    if (known && known.status !== 'refused') {
      if (known.qty !== line.qty) throw new LineAlreadyAllocated(this.state(known));
      return { ...this.state(known), repeated: true };
    }
    const batch = this.bestFor(line, priority);
    if (batch) return { ...this.state(this.promise(line, priority, batch, 'requested')), repeated: false };
    if (whenOutOfStock === 'backorder') {
      return { ...this.state(this.backorder(line, priority, 'out-of-stock')), repeated: false };
    }
    if (known?.qty === line.qty) return { ...this.state(known), repeated: true };
    return { ...this.state(this.refuse(line, priority)), repeated: false };
  }

  /** Why {@link allocate} would decide as it would; nothing changes. @throws what it throws */
  explain({ line, options }: ExplainAllocation): Explanation {
    const allocation = this.copy().allocate(line, options);
    const [head] = this.lines.waiting();
    return explainAllocation(allocation, { batches: this.batches.values(), policy: this.policy, head });
  }

  /** From where a new line would be promised; nothing changes. @throws InvalidQuantity */
  quote({ sku, qty, priority }: GetQuote): Quote {
    InvalidQuantity.check(qty, 1);
    const batch = this.bestFor({ orderId: '', lineId: '', sku, qty }, priority);
    return { batchRef: batch?.ref ?? null, eta: batch?.eta ?? null };
  }

  /**
   * Changes the quantity of a line. A promised line may move to another batch; a waiting one keeps its place.
   * @throws UnknownLine; AmendmentOutOfStock if the new quantity cannot be had, and then nothing changes; InvalidQuantity
   */
  amend(id: LineId, qty: number): Allocation {
    InvalidQuantity.check(qty, 1);
    const known = this.lines.find(id);
    if (!known) throw new UnknownLine(id);
    if (known.qty === qty && known.status !== 'refused') return { ...this.state(known), repeated: true };
    const wanted = { ...known.state(null), qty };
    if (known.status === 'backordered') {
      this.backorder(wanted, known.priority, 'amended', known);
    } else {
      const grows = known.status === 'refused' || qty > known.qty;
      const kept = grows && this.isKeptForBackorders(known.priority);
      const from = known.batchRef === null ? undefined : this.batch(known.batchRef);
      from?.release(known);
      const batch = kept ? undefined : this.policy.choose(wanted, this.batches.values());
      if (!batch) {
        from?.promise(known);
        throw new AmendmentOutOfStock(this.state(known), qty);
      }
      if (from) this.recordDeallocated(known, 'amended');
      this.promise(wanted, known.priority, batch, 'amended');
    }
    this.serveBackorders();
    return { ...this.state(this.lines.find(id)!), repeated: false };
  }

  /**
   * Gives back the promises of lines, or their places in the queue; a line that has neither stays as it is.
   * @throws TooManyLines
   */
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
   * @throws BatchExists if the reference is known with other content, or by another SKU; InvalidQuantity, TooManyLines
   */
  addBatch({ ref, sku, qty, eta }: CreateBatch): BatchCreation {
    InvalidQuantity.check(qty, 0);
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

  /**
   * Facts about a batch, never refused for what it has promised: first the date, then the quantity, so that lines which
   * must move see the new date; then those who wait are served with what is left.
   * @throws BatchIsCancelled, InvalidQuantity, TooManyLines
   */
  changeBatch(ref: string, { qty, eta }: ChangeBatch['change']): BatchChange {
    if (qty !== undefined) InvalidQuantity.check(qty, 0);
    const batch = this.batch(ref);
    if (batch.cancelled) throw new BatchIsCancelled(ref);
    const moves = new Moves();
    if (eta !== undefined && eta !== batch.eta) this.changeEta(batch, eta, moves);
    if (qty !== undefined && qty !== batch.purchased) this.changeQuantity(batch, qty, moves);
    return this.settleChange(batch, moves);
  }

  /**
   * The batch will not come: what it promised is promised from others or waits, as when it shrinks to nothing.
   * @throws TooManyLines
   */
  cancelBatch(ref: string): BatchChange {
    const batch = this.batch(ref);
    const moves = new Moves();
    if (!batch.cancelled) {
      const lines = this.linesBeyond(0, batch, moves);
      this.record(new BatchCancelled({ ref, sku: this.sku }));
      for (const line of lines) this.displace(line, batch, 'batch-cancelled', moves);
      batch.cancel();
      this.promiseAgain(lines, moves);
    }
    return this.settleChange(batch, moves);
  }

  /**
   * A copy with the same past, whose changes do not show here until {@link settle}.
   * @param policy that decides from there on
   */
  copy(policy: AllocationPolicy = this.policy): Product {
    const batches = new Map<string, Batch>();
    for (const [ref, batch] of this.batches) batches.set(ref, batch.copy());
    return new Product(this.sku, this.version, policy, batches, this.lines.copy());
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

  /**
   * Lines as they are stored and as they stand now: those with settled changes, and those whose batch has another date.
   * @param formerEtas the dates, by reference, that batches had when they were stored
   */
  *lineStates(
    formerEtas: ReadonlyMap<string, string | null>,
  ): Generator<[before: LineState | null, now: LineState | null]> {
    const formerState = (line: OrderLine): LineState => {
      const former = line.batchRef === null ? null : formerEtas.get(line.batchRef);
      return former === undefined ? this.state(line) : line.state(former);
    };
    const changed = new Set<string>();
    for (const [key, before, now] of this.lines.differences()) {
      changed.add(key);
      yield [before && formerState(before), now && this.state(now)];
    }
    for (const [ref, formerEta] of formerEtas) {
      const { promised, eta } = this.batch(ref);
      if (promised === 0 || eta === formerEta) continue;
      for (const line of this.lines.promisedFrom(ref, 'oldest', promised + 1)) {
        if (!changed.has(line.key)) yield [formerState(line), this.state(line)];
      }
    }
  }

  /** The best batch for a new line, unless what there is is kept for others. */
  private bestFor(line: RequestedLine, priority: number): Batch | undefined {
    return this.isKeptForBackorders(priority) ? undefined : this.policy.choose(line, this.batches.values());
  }

  /** Stock that could be had is kept for the queue's head, and for nobody of its priority or below. */
  private isKeptForBackorders(priority: number): boolean {
    for (const head of this.lines.waiting()) return head.priority >= priority;
    return false;
  }

  /** Promises to those who wait, strictly in the order of the queue, until one does not fit. */
  private serveBackorders(alreadyMoved = 0): LineState[] {
    const served: LineState[] = [];
    let available = 0;
    for (const batch of this.batches.values()) available += batch.available;
    if (available === 0) return served;
    for (const line of this.lines.waiting(available + 1)) {
      const batch = this.policy.choose(line, this.batches.values());
      if (!batch) break;
      this.mayMoveOneMore(alreadyMoved + served.length);
      served.push(this.state(this.promise(line, line.priority, batch, 'backorder-served')));
    }
    return served;
  }

  /** The promises stand with the new date. If it is later, lines move to batches that are better now. */
  private changeEta(batch: Batch, eta: string | null, moves: Moves): void {
    const { ref, eta: previousEta } = batch;
    this.record(new BatchEtaChanged({ ref, sku: this.sku, eta, previousEta }));
    batch.changeEta(eta);
    const later = eta !== null && (previousEta === null || eta > previousEta);
    if (later && batch.promised > 0) this.leaveForBetter(batch, moves);
  }

  /** Lines leave a delayed batch, the oldest promise first, up to the first that finds no better one. */
  private leaveForBetter(batch: Batch, moves: Moves): void {
    const [oldest] = this.lines.promisedFrom(batch.ref, 'oldest', 1);
    if (!oldest || !this.betterThan(batch, oldest)) return;
    let units = 1;
    for (const other of this.batches.values()) {
      if (this.policy.compare(other, batch, oldest) < 0) units += other.available;
    }
    for (const line of this.lines.promisedFrom(batch.ref, 'oldest', units)) {
      const better = this.betterThan(batch, line);
      if (!better) return;
      this.mayMoveOneMore(moves.released.length);
      this.displace(line, batch, 'batch-delayed', moves);
      moves.reallocated.push(this.state(this.promise(line, line.priority, better, 'reallocated')));
    }
  }

  private changeQuantity(batch: Batch, qty: number, moves: Moves): void {
    const { ref, purchased: previousQty } = batch;
    const lines = this.linesBeyond(qty, batch, moves);
    this.record(new BatchQuantityChanged({ ref, sku: this.sku, qty, previousQty }));
    for (const line of lines) this.displace(line, batch, 'batch-shrunk', moves);
    batch.changeQuantity(qty);
    this.promiseAgain(lines, moves);
  }

  /** The newest promises of a batch, the newest first, until the others fit into `qty` units. */
  private linesBeyond(qty: number, batch: Batch, { released }: Moves): OrderLine[] {
    const lines: OrderLine[] = [];
    let excess = batch.promised - qty;
    if (excess <= 0) return lines;
    for (const line of this.lines.promisedFrom(batch.ref, 'newest', excess)) {
      this.mayMoveOneMore(released.length + lines.length);
      lines.push(line);
      excess -= line.qty;
      if (excess <= 0) break;
    }
    return lines;
  }

  private mayMoveOneMore(moved: number): void {
    if (moved >= Product.maxLinesMovedAtOnce) throw new TooManyLines(this.sku, Product.maxLinesMovedAtOnce);
  }

  /** Takes a line's promise from a batch. */
  private displace(
    line: OrderLine,
    batch: Batch,
    reason: 'batch-shrunk' | 'batch-delayed' | 'batch-cancelled',
    { released }: Moves,
  ): void {
    released.push(this.state(line));
    batch.release(line);
    this.recordDeallocated(line, reason);
  }

  /** Each displaced line for itself, the oldest promise first, gets other stock or waits. */
  private promiseAgain(newestFirst: readonly OrderLine[], { reallocated, shortfall }: Moves): void {
    for (const line of [...newestFirst].reverse()) {
      const other = this.policy.choose(line, this.batches.values());
      if (other) reallocated.push(this.state(this.promise(line, line.priority, other, 'reallocated')));
      else shortfall.push(this.state(this.backorder(line, line.priority, 'shortfall', line)));
    }
  }

  private settleChange(batch: Batch, moves: Moves): BatchChange {
    const promised = this.serveBackorders(moves.released.length);
    return { batch: batch.state(), ...moves, promised };
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

  private batch(ref: string): Batch {
    const batch = this.batches.get(ref);
    if (!batch) throw new NotLoaded<ProductNeeds>({ refs: [ref] });
    return batch;
  }
}
