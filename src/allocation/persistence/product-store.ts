import { Injectable } from '@nestjs/common';
import type { Connection, Queryable } from '../../platform/database/database';
import { type Columns, Insertion } from '../../platform/database/insertion';
import { type AggregateSession, AggregateStore, type SessionEvent } from '../../platform/unit-of-work/aggregate-store';
import type { LineId } from '../contract/order-lines';
import { AllocationPolicy } from '../domain/allocation-policy';
import { Batch } from '../domain/batch';
import { LineBook, LoadedLines, type LoadedRun } from '../domain/line-book';
import { OrderLine } from '../domain/order-line';
import { Product } from '../domain/product';
import { ProductRepository } from '../domain/product-repository';
import type { ProductNeeds } from '../domain/product-needs';
import * as sql from './product-statements';

/** Loads and stores products for the unit of work. Set-based: the number of statements does not grow with the group. */
@Injectable()
export class ProductStore extends AggregateStore<ProductNeeds, ProductRepository> {
  readonly kind = 'product';

  constructor(private readonly policy: AllocationPolicy) {
    super();
  }

  keysNamedBy(needs: ProductNeeds): readonly string[] | undefined {
    if (needs.refs?.length || needs.orders?.length) return undefined;
    return skusNamedBy(needs);
  }

  async findKeys(needs: readonly ProductNeeds[], database: Queryable): Promise<string[][]> {
    const found = await database.query<sql.FoundSku>(sql.findSkus, [
      needs.flatMap((one) => one.refs ?? []),
      needs.flatMap((one) => one.orders ?? []),
    ]);
    const ofRef = new Map<string, string>();
    const ofOrder = new Map<string, string[]>();
    for (const { ref, order_id: order, sku } of found) {
      if (ref !== null) ofRef.set(ref, sku);
      else ofOrder.set(order!, [...(ofOrder.get(order!) ?? []), sku]);
    }
    return needs.map((one) => [
      ...skusNamedBy(one),
      ...(one.refs ?? []).flatMap((ref) => ofRef.get(ref) ?? []),
      ...(one.orders ?? []).flatMap((order) => ofOrder.get(order) ?? []),
    ]);
  }

  open(): ProductSession {
    return new ProductSession(this.policy);
  }
}

const skusNamedBy = (needs: ProductNeeds): string[] => [
  ...new Set([...(needs.skus ?? []), ...(needs.lines ?? []).map((line) => line.sku)]),
];

/** What was stored of a product, as it was loaded. */
interface Stored {
  readonly version: number;
  readonly lines: LoadedLines;
  readonly batches: Map<string, Batch>;
  /** Of its next events. */
  readonly occurredAt: string;
}

class ProductSession implements AggregateSession<ProductNeeds, ProductRepository> {
  private readonly products = new ProductRepository();
  private readonly stored = new Map<string, Stored>();
  private readonly skuOfRef = new Map<string, string>();
  private readonly linesOfOrder = new Map<string, LineId[]>();

  constructor(private readonly policy: AllocationPolicy) {}

  async load(
    connection: Connection,
    skus: readonly string[],
    needs: readonly ProductNeeds[],
    { now, wait, thorough, readOnly }: Parameters<AggregateSession<ProductNeeds, ProductRepository>['load']>[3],
  ): Promise<readonly string[]> {
    const lines = needs.flatMap((one) => one.lines ?? []);
    const readProducts = readOnly ? sql.readProducts : wait ? sql.lockProducts : sql.tryToLockProducts;
    const [products, withLockedBatches, batches, heads, ...rest] = await Promise.all([
      connection.query<sql.ProductRow>(readProducts, [skus]),
      thorough && !wait ? connection.query<{ sku: string }>(sql.productsWithLockedBatches, [skus]) : [],
      connection.query<sql.BatchRow>(sql.openBatches, [skus]),
      connection.query<sql.LineRow>(sql.queueHeads, [skus]),
      this.loadLines(connection, lines),
      this.loadRefs(
        connection,
        needs.flatMap((one) => one.refs ?? []),
      ),
      this.loadOrders(
        connection,
        needs.flatMap((one) => one.orders ?? []),
      ),
    ]);
    const busy = new Set(withLockedBatches.map((row) => row.sku));
    const rows = new Map(products.map((row) => [row.sku, row]));
    for (const sku of skus) {
      const row = rows.get(sku);
      if (row?.version === null) busy.add(sku);
      else if (!busy.has(sku))
        this.addProduct(sku, Number(row?.version ?? 0), row && row.changed_at! > now ? row.changed_at! : now);
    }
    this.addBatches(batches);
    for (const row of heads) this.runOf(row.sku, (stored) => (stored.queue = { lines: [toLine(row)], untilQty: 1 }));
    this.addLines(lines, heads);
    for (const add of rest) add();
    return [...busy];
  }

  async loadMore(connection: Connection, needs: ProductNeeds): Promise<void> {
    const added = await Promise.all([
      this.loadLines(connection, needs.lines ?? []),
      this.loadRefs(connection, needs.refs ?? []),
      ...(['newest', 'oldest'] as const).flatMap((end) =>
        (needs[`${end}Of`] ?? []).map(async ({ sku, ref, untilQty }) => {
          const rows = await connection.query<sql.LineRow>(sql.promisedFrom[end], [sku, ref, untilQty]);
          return () => this.addRun(sku, rows, untilQty, (lines, run) => lines.onBatch[end].set(ref, run));
        }),
      ),
      ...(needs.backorders ?? []).map(async ({ sku, untilQty }) => {
        const rows = await connection.query<sql.LineRow>(sql.backorders, [sku, untilQty]);
        return () => this.addRun(sku, rows, untilQty, (lines, run) => (lines.queue = run));
      }),
    ]);
    for (const add of added) add();
  }

  keysOf(needs: ProductNeeds): readonly string[] {
    const skus = skusNamedBy(needs);
    for (const ref of needs.refs ?? []) if (this.skuOfRef.has(ref)) skus.push(this.skuOfRef.get(ref)!);
    for (const order of needs.orders ?? []) for (const line of this.linesOfOrder.get(order) ?? []) skus.push(line.sku);
    return skus;
  }

  attempt<T>(work: (products: ProductRepository) => T): { result: T; events: SessionEvent[] } {
    const copy = this.products.copy();
    const result = work(copy);
    const events = this.products.adopt(copy).flatMap((product) => {
      const { occurredAt } = this.stored.get(product.sku)!;
      return product.recorded.map(({ version, event }) => ({ key: product.sku, version, event, occurredAt }));
    });
    return { result, events };
  }

  store(connection: Connection): Promise<unknown>[] {
    const changed = [...this.products.known()]
      .filter((product) => product.version > this.stored.get(product.sku)!.version)
      .sort((a, b) => (a.sku < b.sku ? -1 : 1));
    return [
      ...this.storeProducts(connection, changed),
      ...this.storeBatches(connection, changed),
      ...this.storeLines(connection, changed),
    ];
  }

  private addProduct(sku: string, version: number, occurredAt: string): void {
    const lines = new LoadedLines();
    lines.queue = { lines: [], untilQty: 1 };
    this.stored.set(sku, { version, lines, batches: new Map(), occurredAt });
    const product = new Product(sku, version, this.policy, new Map(), new LineBook(sku, lines));
    this.products.remember({ products: [product] });
  }

  private async loadLines(connection: Connection, ids: readonly LineId[]): Promise<() => void> {
    if (ids.length === 0) return () => undefined;
    const rows = await connection.query<sql.LineWithBatchRow>(sql.linesByIdentity, [
      ids.map((id) => id.sku),
      ids.map((id) => id.orderId),
      ids.map((id) => id.lineId),
    ]);
    return () => this.addLines(ids, rows);
  }

  private async loadRefs(connection: Connection, refs: readonly string[]): Promise<() => void> {
    if (refs.length === 0) return () => undefined;
    const rows = await connection.query<sql.BatchRow>(sql.batchesByRef, [refs]);
    return () => {
      for (const row of rows) this.skuOfRef.set(row.ref, row.sku);
      this.addBatches(rows);
      this.products.remember({ refs: rows.map((row) => [row.ref, row.sku]) });
    };
  }

  private async loadOrders(connection: Connection, orders: readonly string[]): Promise<() => void> {
    if (orders.length === 0) return () => undefined;
    const rows = await connection.query<sql.LineWithBatchRow>(sql.linesOfOrders, [orders]);
    return () => {
      for (const order of orders) this.linesOfOrder.set(order, []);
      for (const row of rows) this.linesOfOrder.get(row.order_id)!.push(toLine(row));
      this.addLines([], rows);
      this.products.remember({ orders: this.linesOfOrder });
    };
  }

  /** @param asked lines that are known not to be stored if they are not among the rows */
  private addLines(asked: readonly LineId[], rows: readonly (sql.LineRow | sql.LineWithBatchRow)[]): void {
    for (const row of rows) {
      this.runOf(row.sku, (lines) => lines.remember([toLine(row)]));
      if ('batch' in row && row.batch) this.addBatches([row.batch]);
    }
    for (const id of asked) {
      this.runOf(id.sku, ({ byKey }) => {
        if (!byKey.has(OrderLine.keyOf(id))) byKey.set(OrderLine.keyOf(id), null);
      });
    }
  }

  private addRun(
    sku: string,
    rows: readonly sql.LineRow[],
    untilQty: number,
    put: (lines: LoadedLines, run: LoadedRun) => void,
  ): void {
    const found = rows.map(toLine);
    // A run that was cut at the limit is not complete, whatever was asked for.
    const sum = rows.length < sql.linesAtOnce ? untilQty : found.reduce((units, line) => units + line.qty, 0);
    this.runOf(sku, (lines) => {
      lines.remember(found);
      put(lines, { lines: found, untilQty: sum });
    });
  }

  private runOf(sku: string, use: (lines: LoadedLines) => void): void {
    const stored = this.stored.get(sku);
    if (stored) use(stored.lines);
  }

  private addBatches(rows: readonly sql.BatchRow[]): void {
    for (const row of rows) {
      const stored = this.stored.get(row.sku)?.batches;
      if (!stored || stored.has(row.ref)) continue;
      stored.set(row.ref, new Batch(row));
      this.products.know(row.sku, new Batch(row));
    }
  }

  private storeProducts(connection: Connection, changed: readonly Product[]): Promise<unknown>[] {
    const before = (product: Product): number => this.stored.get(product.sku)!.version;
    const values = (products: readonly Product[]): unknown[][] => [
      products.map((product) => product.sku),
      products.map((product) => product.version),
      products.map((product) => this.stored.get(product.sku)!.occurredAt),
    ];
    const added = changed.filter((product) => before(product) === 0);
    const updated = changed.filter((product) => before(product) > 0);
    return [
      ...(added.length > 0 ? [connection.query(sql.insertProducts, values(added))] : []),
      ...(updated.length > 0
        ? [connection.query(sql.updateProducts, [...values(updated), updated.map(before), updated.length])]
        : []),
    ];
  }

  private storeBatches(connection: Connection, changed: readonly Product[]): Promise<unknown>[] {
    const added: Batch[] = [];
    const updated: Batch[] = [];
    for (const product of changed) {
      const stored = this.stored.get(product.sku)!.batches;
      for (const batch of product.knownBatches) {
        const before = stored.get(batch.ref);
        if (!before) added.push(batch);
        else if (!batch.equals(before)) updated.push(batch);
      }
    }
    const values = (batches: readonly Batch[]): unknown[][] => [
      batches.map((batch) => batch.sku),
      batches.map((batch) => batch.ref),
      batches.map((batch) => batch.purchased),
      batches.map((batch) => batch.promised),
      batches.map((batch) => batch.eta),
      batches.map((batch) => batch.cancelled),
    ];
    return [
      ...(added.length > 0 ? [connection.query(sql.insertBatches, values(added))] : []),
      ...(updated.length > 0 ? [connection.query(sql.updateBatches, [...values(updated), updated.length])] : []),
    ];
  }

  private storeLines(connection: Connection, changed: readonly Product[]): Promise<unknown>[] {
    const added: OrderLine[] = [];
    const updated: OrderLine[] = [];
    const gone: OrderLine[] = [];
    for (const product of changed) {
      for (const [, before, now] of product.lineDifferences()) {
        if (now) (before ? updated : added).push(now);
        else if (before) gone.push(before);
      }
    }
    return [
      lines.run(connection, added),
      orderLines.run(connection, added),
      ...(gone.length > 0
        ? [
            connection.query(sql.deleteLines, [
              gone.map((line) => line.sku),
              gone.map((line) => line.orderId),
              gone.map((line) => line.lineId),
              gone.length,
            ]),
          ]
        : []),
      ...(updated.length > 0 ? [connection.query(sql.updateLines, [JSON.stringify(updated.map(toRow))])] : []),
    ];
  }
}

/** What `order_line` has of a line. */
const ofOrder = {
  sku: ['text', ({ sku }) => sku],
  order_id: ['text', ({ orderId }) => orderId],
  line_id: ['text', ({ lineId }) => lineId],
  qty: ['integer', ({ qty }) => qty],
  status: ['text', ({ status }) => status],
  batch_ref: ['text', ({ batchRef }) => batchRef],
  priority: ['integer', ({ priority }) => priority],
} satisfies Columns<OrderLine>;
const ofLine = {
  ...ofOrder,
  displaced: ['boolean', ({ displaced }) => displaced],
  since: ['bigint', ({ since }) => since],
} satisfies Columns<OrderLine>;
const orderLines = new Insertion<OrderLine>('allocation.order_line', ofOrder);
const lines = new Insertion<OrderLine>('allocation.line', ofLine);
const valuesByName = Object.entries<Columns<OrderLine>[string]>(ofLine).map(([name, [, of]]) => [name, of] as const);

const toRow = (line: OrderLine) => Object.fromEntries(valuesByName.map(([name, of]) => [name, of(line)]));

const toLine = (row: sql.LineRow): OrderLine =>
  new OrderLine(
    { orderId: row.order_id, lineId: row.line_id, sku: row.sku, qty: row.qty },
    {
      status: row.status,
      batchRef: row.batch_ref,
      priority: row.priority,
      displaced: row.displaced,
      since: Number(row.since),
    },
  );
