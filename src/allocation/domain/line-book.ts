import { NotLoaded } from '../../kernel/unit-of-work';
import type { LineId } from '../contract/order-lines';
import { OrderLine } from './order-line';
import type { ProductNeeds } from './product-needs';

/** The beginning of an ordered list of stored lines: enough to make up `untilQty` units, or all there are. */
export interface LoadedRun {
  readonly lines: readonly OrderLine[];
  readonly untilQty: number;
}

/** Which end of a batch's promises, in the order in which they were made. */
export type End = 'newest' | 'oldest';

/** What of a product's stored lines has been loaded so far. Shared by all copies of the product; grows, never changes. */
export class LoadedLines {
  /** null: it is known that there is no such line. */
  readonly byKey = new Map<string, OrderLine | null>();
  readonly onBatch: Readonly<Record<End, Map<string, LoadedRun>>> = { newest: new Map(), oldest: new Map() };
  queue: LoadedRun = { lines: [], untilQty: 0 };

  remember(lines: Iterable<OrderLine>): void {
    for (const line of lines) this.byKey.set(line.key, line);
  }
}

type Change = OrderLine | null;

/**
 * The order lines of one product. Few of them are in memory: asking for one that is not throws {@link NotLoaded}. Changes
 * are kept beside what was loaded: those of this copy alone until it is settled, then for all later copies.
 */
export class LineBook {
  readonly #own = new Map<string, Change>();
  /** Keys of changed lines that wait, so that the queue's head is found without looking at every change. */
  readonly #ownWaiting = new Set<string>();

  constructor(
    private readonly sku: string,
    private readonly loaded: LoadedLines = new LoadedLines(),
    private readonly settled: Map<string, Change> = new Map(),
    private readonly settledWaiting: Set<string> = new Set(),
  ) {}

  /** A copy whose changes this book does not see until the copy is settled. One copy at a time may be settled. */
  copy(): LineBook {
    return new LineBook(this.sku, this.loaded, this.settled, this.settledWaiting);
  }

  /** Makes the changes of this copy those of every later copy. */
  settle(): void {
    for (const [key, line] of this.#own) {
      this.settled.set(key, line);
      if (line?.status === 'backordered') this.settledWaiting.add(key);
      else this.settledWaiting.delete(key);
    }
    this.#own.clear();
    this.#ownWaiting.clear();
  }

  /** @throws NotLoaded */
  find(id: Pick<LineId, 'orderId' | 'lineId'>): OrderLine | undefined {
    const key = OrderLine.keyOf(id);
    const line = this.isChanged(key) ? this.changed(key) : this.loaded.byKey.get(key);
    if (line === undefined) {
      throw new NotLoaded<ProductNeeds>({ lines: [{ orderId: id.orderId, lineId: id.lineId, sku: this.sku }] });
    }
    return line ?? undefined;
  }

  put(line: OrderLine): void {
    this.#own.set(line.key, line);
    if (line.status === 'backordered') this.#ownWaiting.add(line.key);
    else this.#ownWaiting.delete(line.key);
  }

  remove(line: OrderLine): void {
    this.#own.set(line.key, null);
    this.#ownWaiting.delete(line.key);
  }

  /**
   * The lines promised from a batch, in the order of their promises from one end. Lines that the caller changes while
   * it goes must be those that it was given.
   * @param untilQty how many units the caller expects to look at: that many are loaded at once
   * @throws NotLoaded
   */
  *promisedFrom(ref: string, end: End, untilQty: number): Generator<OrderLine> {
    const order = end === 'newest' ? newestFirst : oldestFirst;
    const changed = [...this.changes()].filter((line) => line.batchRef === ref).sort(order);
    const selector = end === 'newest' ? 'newestOf' : 'oldestOf';
    yield* this.merge(changed, this.loaded.onBatch[end].get(ref), order, untilQty, (qty) => ({
      [selector]: [{ sku: this.sku, ref, untilQty: qty }],
    }));
  }

  /** The lines that wait, in the order of the queue; otherwise like {@link promisedFrom}. */
  *waiting(untilQty = 1): Generator<OrderLine> {
    const changed = [...this.changedWaiting()].sort(OrderLine.inQueueOrder);
    yield* this.merge(changed, this.loaded.queue, OrderLine.inQueueOrder, untilQty, (qty) => ({
      backorders: [{ sku: this.sku, untilQty: qty }],
    }));
  }

  /** All lines that differ from what was stored; null: it is no more. By key. */
  *differences(): Generator<[key: string, before: OrderLine | null, now: Change]> {
    for (const [key, line] of this.settled) yield [key, this.loaded.byKey.get(key) ?? null, line];
  }

  /** Lines that were changed and still are, settled or not. */
  *changes(): Generator<OrderLine> {
    for (const line of this.#own.values()) if (line) yield line;
    for (const [key, line] of this.settled) if (line && !this.#own.has(key)) yield line;
  }

  private *changedWaiting(): Generator<OrderLine> {
    for (const key of this.#ownWaiting) yield this.#own.get(key)!;
    for (const key of this.settledWaiting) if (!this.#own.has(key)) yield this.settled.get(key)!;
  }

  private changed(key: string): Change | undefined {
    const own = this.#own.get(key);
    return own === undefined ? this.settled.get(key) : own;
  }

  private isChanged(key: string): boolean {
    return this.#own.has(key) || this.settled.has(key);
  }

  /** Changed lines and loaded lines that were not changed, as one ordered list; NotLoaded where knowledge ends. */
  private *merge(
    changed: readonly OrderLine[],
    run: LoadedRun | undefined,
    order: (a: OrderLine, b: OrderLine) => number,
    untilQty: number,
    needs: (untilQty: number) => ProductNeeds,
  ): Generator<OrderLine> {
    let next = 0;
    let loadedQty = 0;
    let changedQty = 0;
    for (const line of run?.lines ?? []) {
      loadedQty += line.qty;
      if (this.isChanged(line.key)) {
        changedQty += line.qty;
        continue;
      }
      while (next < changed.length && order(changed[next]!, line) < 0) yield changed[next++]!;
      yield line;
    }
    if (run === undefined || loadedQty >= run.untilQty) {
      throw new NotLoaded<ProductNeeds>(needs(untilQty + Math.max(changedQty, run?.untilQty ?? 0)));
    }
    while (next < changed.length) yield changed[next++]!;
  }
}

const oldestFirst = (a: OrderLine, b: OrderLine): number => a.since - b.since;
const newestFirst = (a: OrderLine, b: OrderLine): number => b.since - a.since;
