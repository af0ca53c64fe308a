import type { DomainEvent } from '../../src/kernel/event';
import { NotLoaded } from '../../src/kernel/unit-of-work';
import type { BatchState } from '../../src/allocation/contract/commands';
import type { LineId, LineState } from '../../src/allocation/contract/order-lines';
import { WarehouseThenEarliestEta, type AllocationPolicy } from '../../src/allocation/domain/allocation-policy';
import { Batch } from '../../src/allocation/domain/batch';
import { LineBook, LoadedLines, type LoadedRun } from '../../src/allocation/domain/line-book';
import { OrderLine } from '../../src/allocation/domain/order-line';
import { Product } from '../../src/allocation/domain/product';
import type { ProductNeeds } from '../../src/allocation/domain/product-needs';
import { ProductRepository } from '../../src/allocation/domain/product-repository';
import { ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';

/** An event in its stream, as a store keeps it. */
export interface StoredEvent {
  readonly stream: string;
  readonly version: number;
  readonly event: DomainEvent;
}

/**
 * The port as simple as it can be: rows in maps instead of tables. A group of works shares what was loaded for it; then
 * its net changes are stored and the next group loads anew. It loads what the needs name and not one row more, so that
 * a domain method which relies on something else fails here as it would over a database.
 */
export class InMemoryProductUnitOfWork extends ProductUnitOfWork {
  /** All events, in the order in which they were recorded. */
  readonly events: StoredEvent[] = [];

  private readonly versions = new Map<string, number>();
  private readonly batches = new Map<string, BatchState>();
  private readonly lines = new Map<string, OrderLine>();

  private repository = new ProductRepository();
  private loaded = new Map<string, LoadedLines>();
  private works = 0;

  /** @param worksPerGroup Infinity: everything stays in memory */
  constructor(
    private readonly worksPerGroup = 1,
    private readonly policy: AllocationPolicy = new WarehouseThenEarliestEta(),
  ) {
    super();
  }

  async run<T>(needs: ProductNeeds, work: (products: ProductRepository) => T): Promise<T> {
    for (let missing = needs; ;) {
      this.load(missing);
      try {
        const copy = this.repository.copy();
        const result = work(copy);
        this.adopt(copy);
        return result;
      } catch (error) {
        if (!(error instanceof NotLoaded)) throw error;
        const more = error.needs as ProductNeeds;
        if (JSON.stringify(more) === JSON.stringify(missing))
          throw new Error(`loaded in vain: ${JSON.stringify(more)}`);
        missing = more;
      }
    }
  }

  /** Lends the same over copies of its rows, which are thrown away. */
  preview<T>(use: (unitOfWork: ProductUnitOfWork) => Promise<T>): Promise<T> {
    this.store();
    const copy = new InMemoryProductUnitOfWork(Infinity, this.policy);
    for (const [sku, version] of this.versions) copy.versions.set(sku, version);
    for (const [ref, batch] of this.batches) copy.batches.set(ref, batch);
    for (const [key, line] of this.lines) copy.lines.set(key, line);
    return use(copy);
  }

  /** What is stored, the open group included, which ends with this. */
  rows(): { batches: BatchState[]; lines: OrderLine[] } {
    this.store();
    return { batches: [...this.batches.values()], lines: [...this.lines.values()] };
  }

  linesOf(orderId: string): LineState[] {
    const lines = this.rows().lines.filter((line) => line.orderId === orderId);
    return lines.map((line) => line.state(line.batchRef === null ? null : this.batches.get(line.batchRef)!.eta));
  }

  eventsOf(sku: string): { version: number; type: string; data: object }[] {
    const events = this.events.filter(({ stream }) => stream === `product:${sku}`);
    return events.map(({ version, event: { type, data } }) => ({ version, type, data }));
  }

  private adopt(copy: ProductRepository): void {
    for (const { sku, recorded } of this.repository.adopt(copy)) {
      for (const event of recorded) this.events.push({ stream: `product:${sku}`, ...event });
    }
    this.works += 1;
    if (this.works >= this.worksPerGroup) this.store();
  }

  private load(needs: ProductNeeds): void {
    const { skus = [], refs = [], orders = [], lines = [], newestOf = [], oldestOf = [], backorders = [] } = needs;
    const owned = refs.flatMap((ref) => this.batches.get(ref) ?? []);
    const ordered = this.select((line) => orders.includes(line.orderId));
    const named = [...owned, ...ordered, ...lines, ...newestOf, ...oldestOf, ...backorders];
    for (const sku of new Set([...skus, ...named.map((need) => need.sku)])) this.loadProduct(sku);

    this.repository.remember({
      refs: owned.map(({ ref, sku }) => [ref, sku] as const),
      orders: orders.map((orderId) => [orderId, ordered.filter((line) => line.orderId === orderId)] as const),
    });
    for (const { ref } of owned) this.loadBatch(ref);
    for (const id of [...ordered, ...lines]) {
      const line = this.lines.get(rowKey(id)) ?? null;
      this.loaded.get(id.sku)!.byKey.set(OrderLine.keyOf(id), line);
      if (line?.batchRef) this.loadBatch(line.batchRef);
    }
    for (const { sku, ref, untilQty } of newestOf) {
      const { newest } = this.loaded.get(sku)!.onBatch;
      newest.set(
        ref,
        this.loadRun(sku, untilQty, (line) => line.batchRef === ref, newestFirst),
      );
    }
    for (const { sku, ref, untilQty } of oldestOf) {
      const { oldest } = this.loaded.get(sku)!.onBatch;
      oldest.set(
        ref,
        this.loadRun(sku, untilQty, (line) => line.batchRef === ref, oldestFirst),
      );
    }
    for (const { sku, untilQty } of backorders) this.loadQueue(sku, untilQty);
  }

  private loadProduct(sku: string): void {
    if (this.loaded.has(sku)) return;
    const loaded = new LoadedLines();
    this.loaded.set(sku, loaded);
    this.loadQueue(sku, 1);
    const open = [...this.batches.values()].filter((batch) => batch.sku === sku && batch.available > 0);
    const batches = new Map(open.map((batch) => [batch.ref, new Batch(batch)]));
    const version = this.versions.get(sku) ?? 0;
    const product = new Product(sku, version, this.policy, batches, new LineBook(sku, loaded));
    this.repository.remember({ products: [product] });
  }

  private loadBatch(ref: string): void {
    const batch = this.batches.get(ref)!;
    this.repository.know(batch.sku, new Batch(batch));
  }

  private loadQueue(sku: string, untilQty: number): void {
    const waits = (line: OrderLine): boolean => line.status === 'backordered';
    this.loaded.get(sku)!.queue = this.loadRun(sku, untilQty, waits, firstInQueue);
  }

  /** The shortest beginning of the ordered lines that makes up `untilQty` units, or all of them. */
  private loadRun(sku: string, untilQty: number, which: (line: OrderLine) => boolean, order: Order): LoadedRun {
    const lines: OrderLine[] = [];
    let qty = 0;
    for (const line of this.select((line) => line.sku === sku && which(line)).sort(order)) {
      if (qty >= untilQty) break;
      lines.push(line);
      qty += line.qty;
    }
    this.loaded.get(sku)!.remember(lines);
    return { lines, untilQty };
  }

  private select(which: (line: OrderLine) => boolean): OrderLine[] {
    return [...this.lines.values()].filter(which);
  }

  private store(): void {
    for (const product of this.repository.known()) {
      this.versions.set(product.sku, product.version);
      for (const batch of product.knownBatches) this.batches.set(batch.ref, batch.state());
      for (const [key, before, now] of product.lineDifferences()) this.storeLine(product.sku, key, before, now);
    }
    this.repository = new ProductRepository();
    this.loaded = new Map();
    this.works = 0;
  }

  /** A store that deletes, inserts and updates by what the product says was stored needs that to be true. */
  private storeLine(sku: string, key: string, before: OrderLine | null, now: OrderLine | null): void {
    const row = `${sku}/${key}`;
    if ((this.lines.get(row) ?? null) !== before) throw new Error(`${row} was not stored as the product believes`);
    if (now) this.lines.set(row, now);
    else this.lines.delete(row);
  }
}

type Order = (a: OrderLine, b: OrderLine) => number;

const oldestFirst: Order = (a, b) => a.since - b.since;
const newestFirst: Order = (a, b) => b.since - a.since;
const firstInQueue: Order = (a, b) =>
  b.priority - a.priority || Number(b.displaced) - Number(a.displaced) || a.since - b.since;

const rowKey = (id: LineId): string => `${id.sku}/${OrderLine.keyOf(id)}`;
