import * as fc from 'fast-check';
import type { Client } from 'pg';
import { Allocate, ChangeBatch, CreateBatch } from '../../src/allocation/contract/commands';
import type { LineState } from '../../src/allocation/contract/order-lines';
import {
  type Change,
  ExplainAllocation,
  GetQuote,
  type Plan,
  PlanChanges,
} from '../../src/allocation/contract/queries';
import { AllocationPolicies } from '../../src/allocation/domain/allocation-policies';
import {
  type AllocationPolicy,
  EarliestEtaThenSmallestFit,
  LatestEta,
  WarehouseThenEarliestEta,
} from '../../src/allocation/domain/allocation-policy';
import type { ProductDryRun } from '../../src/allocation/domain/product-unit-of-work';
import { ExplainAllocationHandler } from '../../src/allocation/handlers/explain-allocation.handler';
import { GetQuoteHandler } from '../../src/allocation/handlers/get-quote.handler';
import { PlanChangesHandler } from '../../src/allocation/handlers/plan-changes.handler';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import type { Database } from '../../src/platform/database/database';
import { GroupingUnitOfWork } from '../../src/platform/unit-of-work/grouping-unit-of-work';
import { SnapshotDryRun } from '../../src/platform/unit-of-work/snapshot-dry-run';
import { type Commands, commandsOver, line } from '../support/allocation-commands';
import { changes, differencesBetween, make } from '../support/changes';
import { freshDatabase, type TestDatabase } from '../support/database';
import { runs } from '../support/runs';

const inForce = new WarehouseThenEarliestEta();
const tables =
  'allocation.product, allocation.batch, allocation.batch_ref, allocation.line, allocation.order_line, platform.event, platform.unit_of_work';
const others = [new EarliestEtaThenSmallestFit(), new LatestEta()];

describe('A plan on PostgreSQL', () => {
  let db: TestDatabase;
  let client: Client;
  let database: Database;
  let commands: Commands;
  let dryRun: ProductDryRun;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    database = await db.connect();
    commands = commandsBy(inForce);
    dryRun = new SnapshotDryRun(database, new ProductStore(inForce));
  });
  afterAll(() => db.drop());

  const commandsBy = (policy: AllocationPolicy): Commands =>
    commandsOver(new GroupingUnitOfWork(database, new ProductStore(policy)));
  const plan = (planned: Change[], options?: PlanChanges['options']): Promise<Plan> =>
    new PlanChangesHandler(dryRun, new AllocationPolicies(inForce, ...others)).execute(
      new PlanChanges(planned, options),
    );
  const allLines = async (): Promise<LineState[]> => {
    const text = `
      SELECT l.order_id AS "orderId", l.line_id AS "lineId", l.sku, l.qty, l.status, l.batch_ref AS "batchRef",
             b.eta::text AS eta, l.priority
      FROM allocation.line AS l LEFT JOIN allocation.batch AS b ON b.sku = l.sku AND b.ref = l.batch_ref`;
    return (await client.query<LineState>(text)).rows;
  };
  /** Everything that a stored change would leave a trace in. */
  const traces = async () => {
    const text = `
      SELECT (SELECT json_agg(p ORDER BY sku) FROM allocation.product AS p) AS products,
             (SELECT json_agg(b ORDER BY ref) FROM allocation.batch AS b) AS batches,
             (SELECT json_agg(l ORDER BY sku, order_id, line_id) FROM allocation.line AS l) AS lines,
             (SELECT count(*) FROM allocation.batch_ref) AS refs, (SELECT count(*) FROM allocation.order_line) AS orders,
             (SELECT count(*) FROM platform.event) AS events, (SELECT count(*) FROM platform.unit_of_work) AS units`;
    return (await client.query<object>(text)).rows[0];
  };

  it.each([inForce, ...others].map((policy) => [policy.name, policy] as const))(
    'is what then happens, decided by %s, and leaves no trace before',
    async (name, policy) => {
      const real = commandsBy(policy);
      const some = (maxLength: number) => fc.array(changes, { maxLength, size: 'max' });
      const run = fc.asyncProperty(some(20), some(10), async (past, planned) => {
        await client.query(`TRUNCATE ${tables}`);
        for (const change of past) await make(change, real);
        const before = await allLines();
        const rows = await traces();
        const { outcomes, lines } = await plan(planned, { policy: name });
        expect(await traces()).toEqual(rows);
        for (const [index, change] of planned.entries()) expect(await make(change, real)).toEqual(outcomes[index]);
        expect(lines).toEqual(differencesBetween(before, await allLines()));
      });
      await fc.assert(run, { numRuns: runs(8) });
    },
    30_000,
  );

  it('waits for nobody who writes, and takes no lock that one could wait for', async () => {
    await commands.createBatch('held', 'HELD', 10);
    await client.query('BEGIN');
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('product:HELD', 0))`);
    await client.query(`SELECT FROM allocation.product WHERE sku = 'HELD' FOR UPDATE`);
    await client.query(`UPDATE allocation.batch SET purchased = 9 WHERE ref = 'held'`);
    try {
      const { lines } = await plan([new Allocate(line('o1', 'HELD', 10)), new CreateBatch('held-2', 'HELD', 1)]);
      expect(lines).toMatchObject([{ before: null, after: { status: 'promised', batchRef: 'held' } }]);
      const explained = new ExplainAllocationHandler(dryRun).execute(new ExplainAllocation(line('o1', 'HELD', 10)));
      expect(await explained).toMatchObject({ reason: 'best-fit' });
      expect(await new GetQuoteHandler(dryRun).execute(new GetQuote('HELD', 10))).toMatchObject({ batchRef: 'held' });
    } finally {
      await client.query('ROLLBACK');
    }
    await dryRun.preview(async (unitOfWork) => {
      await commandsOver(unitOfWork).allocate(line('o2', 'HELD', 1));
      const text = `
        SELECT coalesce(array_agg(DISTINCT mode), '{}') AS modes,
               count(*) FILTER (WHERE locktype IN ('advisory', 'transactionid', 'tuple'))::int AS more,
               (SELECT count(backend_xid)::int FROM pg_stat_activity WHERE datname = current_database()) AS xids
        FROM pg_locks
        WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()`;
      expect((await client.query<object>(text)).rows).toEqual([{ modes: ['AccessShareLock'], more: 0, xids: 0 }]);
    });
  });

  it('is made on one moment, whatever is committed meanwhile', async () => {
    await commands.createBatch('moment', 'MOMENT', 10);
    await dryRun.preview(async (unitOfWork) => {
      const tried = commandsOver(unitOfWork);
      await tried.allocate(line('o1', 'MOMENT', 1));
      await commands.allocate(line('o2', 'MOMENT', 10));
      await commands.createBatch('moment-2', 'MOMENT-2', 1);
      expect(await tried.allocate(line('o3', 'MOMENT', 9))).toMatchObject({ status: 'promised' });
      await expect(tried.allocate(line('o3', 'MOMENT-2', 1))).rejects.toMatchObject({ code: 'unknown-sku' });
    });
    await expect(plan([new Allocate(line('o3', 'MOMENT', 1))])).resolves.toMatchObject({
      lines: [{ after: { status: 'refused' } }],
    });
  });

  it('may have a thousand changes, of batches with many lines', async () => {
    await client.query(`
      INSERT INTO allocation.product SELECT 'MANY-' || i, 22, now() FROM generate_series(1, 350) AS i;
      INSERT INTO allocation.batch_ref SELECT 'many-' || i, 'MANY-' || i FROM generate_series(1, 350) AS i;
      INSERT INTO allocation.batch (sku, ref, purchased, promised, eta)
        SELECT 'MANY-' || i, 'many-' || i, 100, 60, '2031-01-01' FROM generate_series(1, 350) AS i;
      INSERT INTO allocation.line
        SELECT 'MANY-' || i, 'o-' || j, '1', 3, 'promised', 'many-' || i, 0, false, 1 + j
        FROM generate_series(1, 350) AS i, generate_series(1, 20) AS j`);
    const names = Array.from({ length: 350 }, (_, i) => i + 1);
    const planned = names.flatMap((i) => [
      new ChangeBatch(`many-${i}`, { eta: '2031-01-05' }),
      new ChangeBatch(`many-${i}`, { qty: 59 }),
      new CreateBatch(`more-${i}`, `MANY-${i}`, 1),
    ]);
    const { outcomes, lines } = await plan(planned);
    expect(outcomes.filter(({ problem }) => problem !== null)).toEqual([]);
    expect(lines).toHaveLength(7_000);
    expect(lines.filter(({ after }) => after!.status === 'backordered')).toHaveLength(350);
    expect(lines.filter(({ after }) => after!.eta === '2031-01-05')).toHaveLength(6_650);
    await expect(plan(planned, { maxLines: 5_000 })).rejects.toMatchObject({ code: 'plan-too-large' });
  }, 30_000);

  it('leaves connections for others: a few at once, the others in turn', async () => {
    const open: (() => void)[] = [];
    const previews = Array.from({ length: 6 }, (_, i) =>
      dryRun.preview(() => new Promise<number>((resolve) => open.push(() => resolve(i)))),
    );
    while (open.length < 4) await new Promise(setImmediate);
    await Promise.all(Array.from({ length: 16 }, () => database.query({ text: 'SELECT' })));
    expect(open).toHaveLength(4);
    for (let i = 0; i < 6; i += 1) {
      while (open.length <= i) await new Promise(setImmediate);
      open[i]!();
    }
    expect(await Promise.all(previews)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
