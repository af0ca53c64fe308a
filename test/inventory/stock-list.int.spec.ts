import type { Client } from 'pg';
import {
  ListStock,
  type StockLevels,
  type StockOrder,
  type StockPlace,
  type StockStatus,
} from '../../src/inventory/contract/queries';
import { ListStockHandler } from '../../src/inventory/queries/stock.query';
import type { Database, Statement } from '../../src/platform/database/database';
import { freshDatabase, type TestDatabase } from '../support/database';

const orders: readonly StockOrder[] = ['sku', 'available', '-available', 'nextArrival'];
const statuses: readonly (StockStatus | undefined)[] = [undefined, 'low', 'out', 'late'];
const lists = orders.flatMap((order) => statuses.map((status) => [order, status] as const));
const skus = 100_000;

/** Of a hundred SKUs one is out, one low, one late and twenty are inbound; some share a number of units or a day. */
const fill = `
  INSERT INTO inventory.stock (sku, version, on_hand, inbound, promised, backordered, low, next_arrival)
    SELECT 'sku-' || lpad(n::text, 6, '0'), 1, CASE WHEN n % 100 = 1 THEN 0 ELSE (n * 7919) % 5000 + 1 END,
           CASE WHEN n % 5 = 0 THEN 10 ELSE 0 END, 0, 0, n % 100 = 2,
           CASE WHEN n % 100 = 0 THEN current_date - 1 - n % 7
                WHEN n % 5 = 0 THEN current_date + n % 90 + 1 ELSE 'infinity' END
    FROM generate_series(1, ${skus}) AS n;
  INSERT INTO inventory.stock_batch (sku, ref, purchased, promised, eta, cancelled)
    SELECT sku, 'batch-' || sku, inbound, 0, next_arrival, false FROM inventory.stock WHERE inbound > 0;
  ANALYZE inventory.stock, inventory.stock_batch`;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

describe('A list of stock, of a hundred thousand SKUs', () => {
  let test: TestDatabase;
  let client: Client;
  let database: Database;
  let list: ListStockHandler;

  beforeAll(async () => {
    test = await freshDatabase();
    client = await test.client();
    database = await test.connect();
    list = new ListStockHandler(database);
    await client.query(fill);
    await client.query('VACUUM inventory.stock, inventory.stock_batch');
  });
  afterAll(() => test.drop());

  /** How the server goes about what the handler asks. */
  async function planOf(query: ListStock): Promise<Plan> {
    let asked: [Statement, readonly unknown[]] | undefined;
    const listening = {
      query: (statement: Statement, values: readonly unknown[]) => {
        asked = [statement, values];
        return Promise.resolve([]);
      },
    } as unknown as Database;
    await new ListStockHandler(listening).execute(query);
    const [{ text }, values] = asked!;
    const explained = await database.query<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
      { text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}` },
      values,
    );
    return explained[0]!['QUERY PLAN'][0]!.Plan;
  }

  const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

  it.each(lists)('by %s, of status %s, reads no more than a small part of them for a page', async (order, status) => {
    const first = await list.execute(new ListStock(50, order, status));
    expect(first.stock).toHaveLength(50);
    for (const after of [undefined, first.next!]) {
      const plan = await planOf(new ListStock(50, order, status, after));
      const scans = nodesOf(plan).filter((node) => node['Relation Name'] === 'stock');
      expect(scans.map((node) => node['Node Type'])).not.toContain('Seq Scan');
      const rows = scans.map(
        (node) => (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
      );
      expect(rows.reduce((sum, some) => sum + some, 0)).toBeLessThan(skus / 10);
    }
  });

  it.each(lists)('by %s, of status %s, has each SKU on one of its pages, in order', async (order, status) => {
    const limit = 200;
    const most = 1_400;
    const paged: StockLevels[] = [];
    let after: StockPlace | null | undefined;
    while (after !== null && paged.length < most) {
      const page = await list.execute(new ListStock(limit, order, status, after));
      paged.push(...page.stock);
      after = page.next;
    }
    const expected = [...(await everySku())].filter((one) => is(status, one)).sort(comparing(order));
    expect(paged.map(({ sku }) => sku)).toEqual(expected.slice(0, most).map(({ sku }) => sku));
    expect(paged.every(({ lateUnits, sku }) => lateUnits === (sku.endsWith('00') ? 10 : 0))).toBe(true);
    if (status !== undefined) expect(after).toBeNull();
  });

  it.each(orders)('by %s, of status low, reads little more than a page, however many are low', async (order) => {
    await client.query(`
      UPDATE inventory.stock SET low = true WHERE NOT low AND sku > 'sku-050000';
      ANALYZE inventory.stock`);
    const { next } = await list.execute(new ListStock(50, order, 'low'));
    for (const after of [undefined, next!]) {
      const scans = nodesOf(await planOf(new ListStock(50, order, 'low', after))).filter(
        (node) => node['Relation Name'] === 'stock',
      );
      expect(scans).toHaveLength(1);
      expect(scans[0]).toMatchObject({ 'Node Type': 'Index Scan', 'Actual Rows': 51 });
      expect(scans[0]!['Rows Removed by Filter'] ?? 0).toBe(0);
    }
  });

  interface Row {
    readonly sku: string;
    readonly available: number;
    readonly nextArrival: string | null;
  }

  let every: Row[] | undefined;
  const everySku = async (): Promise<Row[]> =>
    (every ??= await database.query<Row>({
      text: `
        SELECT sku, available::int AS available, nullif(next_arrival, 'infinity')::text AS "nextArrival"
        FROM inventory.stock`,
    }));

  const is = (status: StockStatus | undefined, { sku, available }: Row): boolean => {
    if (status === 'low') return sku.endsWith('02');
    if (status === 'out') return available === 0;
    return status === undefined || sku.endsWith('00');
  };

  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const comparing =
    (order: StockOrder) =>
    (a: Row, b: Row): number => {
      if (order === 'available') return a.available - b.available || text(a.sku, b.sku);
      if (order === '-available') return b.available - a.available || text(b.sku, a.sku);
      if (order === 'sku') return text(a.sku, b.sku);
      return text(a.nextArrival ?? '9', b.nextArrival ?? '9') || text(a.sku, b.sku);
    };
});
