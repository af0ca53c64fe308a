import type { Client } from 'pg';
import { NotLoaded, Overloaded } from '../../src/kernel/unit-of-work';
import type { ProductNeeds } from '../../src/allocation/domain/product-needs';
import { inContext } from '../../src/platform/request-context';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PostgresProxy } from '../support/postgres-proxy';
import { impatientDatabase, type Replica, replicaOver, until } from '../support/replica';

const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const codes = async (runs: readonly Promise<unknown>[]): Promise<string[]> =>
  (await Promise.allSettled(runs)).map((run) =>
    run.status === 'fulfilled' ? 'done' : ((run.reason as { code?: string }).code ?? String(run.reason)),
  );

describe('The grouping unit of work', () => {
  let db: TestDatabase;
  let client: Client;
  let replica: Replica;
  /** Sizes and outcomes of the replica's groups, as they end. */
  let groups: string[];
  const closing: (() => Promise<unknown>)[] = [];
  let tests = 0;
  let sku: string, other: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
  });
  afterAll(() => db.drop());
  beforeEach(async () => {
    tests += 1;
    [sku, other] = [`SKU-${tests}`, `OTHER-${tests}`];
    groups = [];
    replica = replicaOver(await db.connect(), {}, watch);
    await Promise.all([sku, other].map((each) => replica.createBatch(`batch-${each}`, each, 1_000)));
    groups.length = 0;
  });
  afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

  const watch = { groupEnded: (works: number, outcome: string) => void groups.push(`${works} ${outcome}`) };
  const order = (name: string | number, qty = 1, of = sku) => line(`${name}-${tests}`, of, qty);
  const behindProxy = async ({ answer = 30_000, poolSize = 10, deadline = 5_000 } = {}): Promise<{
    proxy: PostgresProxy;
    slow: Replica;
  }> => {
    const proxy = await PostgresProxy.before(db.url);
    const { database, close } = await impatientDatabase(proxy.url, { answer, poolSize });
    closing.push(() => Promise.all([close(), proxy.close()]));
    return { proxy, slow: replicaOver(database, { deadline }, watch) };
  };
  const promised = async (of = sku): Promise<unknown> => {
    const { rows } = await client.query(
      `SELECT (SELECT promised FROM allocation.batch WHERE sku = $1) AS units,
              (SELECT count(*)::int FROM allocation.line WHERE sku = $1 AND status = 'promised') AS lines,
              (SELECT count(*)::int FROM platform.event
               WHERE stream = 'product:' || $1 AND type = 'allocation.allocated.v1') AS events`,
      [of],
    );
    return rows[0];
  };

  describe('runs the works of a group one after another', () => {
    it('so that each sees what those before it did', async () => {
      const seen = await Promise.all(
        times(5, (i) =>
          replica.unitOfWork.run({ lines: [order(i)] }, (products) => {
            products.get(sku).allocate(order(i));
            return [...products.get(sku).knownBatches][0]!.promised;
          }),
        ),
      );
      expect(seen).toEqual([1, 2, 3, 4, 5]);
      expect(groups).toEqual(['5 committed']);
    });

    it('and forgets everything that one did before it threw', async () => {
      const runs = times(3, (i) =>
        replica.unitOfWork.run({ lines: [order(i), order(i, 1, other)] }, (products) => {
          products.get(other).allocate(order(i, 1, other));
          products.claim(`claimed-${i}-${tests}`, sku);
          products.get(sku).allocate(order(i));
          if (i === 1) throw new Error('second thoughts');
        }),
      );
      expect(await codes(runs)).toEqual(['done', 'Error: second thoughts', 'done']);
      expect(await promised()).toEqual({ units: 2, lines: 2, events: 2 });
      expect(await promised(other)).toEqual({ units: 2, lines: 2, events: 2 });
    });

    it('and repeats the one that finds something missing, and no other', async () => {
      const calls = [0, 0, 0];
      const runs = calls.map((_, i) =>
        replica.unitOfWork.run({ skus: [sku] }, (products) => {
          calls[i]! += 1;
          if (i === 1) products.get(sku).allocate(order('missing'));
        }),
      );
      await Promise.all(runs);
      expect(calls).toEqual([1, 2, 1]);
      expect(await promised()).toEqual({ units: 1, lines: 1, events: 1 });
    });

    it('and gives up on one that is never satisfied', async () => {
      const insatiable = replica.unitOfWork.run({ skus: [sku] }, () => {
        throw new NotLoaded<ProductNeeds>({ lines: [order('never')] });
      });
      await expect(insatiable).rejects.toBeInstanceOf(NotLoaded);
    });
  });

  describe('groups', () => {
    it('one that comes alone alone, and those that come meanwhile together', async () => {
      const { proxy, slow } = await behindProxy();
      const held = proxy.holdAt('COMMIT\0');
      const first = slow.allocate(order('first'));
      await held;
      const rest = times(10, (i) => slow.allocate(order(i, 1, i % 2 ? sku : other)));
      await until(() => slow.unitOfWork.depth === 10);
      proxy.goOn();
      await Promise.all([first, ...rest]);
      expect(groups).toEqual(['1 committed', '10 committed']);
    });

    it('nothing with anything, if at most one may be in a group', async () => {
      const single = replicaOver(await db.connect(), { groupMax: 1 }, watch);
      await Promise.all(times(20, (i) => single.allocate(order(i))));
      expect(groups).toEqual(times(20, () => '1 committed'));
      expect(await promised()).toEqual({ units: 20, lines: 20, events: 20 });
    });

    it('no more than it may, and no more SKUs than one transaction should lock', async () => {
      const capped = replicaOver(await db.connect(), { groupMax: 8 }, watch);
      await Promise.all(times(20, (i) => capped.allocate(order(i))));
      expect(groups).toEqual(['8 committed', '8 committed', '4 committed']);
      groups.length = 0;
      await Promise.all(times(300, (i) => codes([replica.allocate(order(i, 1, `many-${i}`))])));
      expect(groups).toEqual(['256 unchanged', '44 unchanged']);
    });

    it('nothing that changes nothing into a transaction that commits', async () => {
      const before = await client.query('SELECT count(*)::int AS ids FROM platform.unit_of_work');
      await codes([replica.releaseLine(order('nobody')), replica.amendLine(order('nobody'), 3)]);
      const after = await client.query('SELECT count(*)::int AS ids FROM platform.unit_of_work');
      expect(groups).toEqual(['2 unchanged']);
      expect(after.rows).toEqual(before.rows);
    });
  });

  it('keeps with each event on whose behalf, and because of what, its command ran', async () => {
    const as = (actor: string) => ({ actor, correlationId: `c-${actor}`, causationId: `r-${actor}` });
    await Promise.all([
      inContext(as('ada'), () => replica.allocate(order('ada'))),
      replica.allocate(order('nobody')),
      inContext(as('bob'), () => replica.changeBatch(`batch-${sku}`, { qty: 999 })),
    ]);
    const { rows } = await client.query(
      `SELECT coalesce(data->>'orderId', data->>'ref') AS about, actor, correlation_id, causation_id FROM platform.event
       WHERE stream = $1 AND version > 1 ORDER BY about`,
      [`product:${sku}`],
    );
    expect(rows).toEqual([
      { about: `ada-${tests}`, actor: 'ada', correlation_id: 'c-ada', causation_id: 'r-ada' },
      { about: `batch-${sku}`, actor: 'bob', correlation_id: 'c-bob', causation_id: 'r-bob' },
      { about: `nobody-${tests}`, actor: 'system', correlation_id: null, causation_id: null },
    ]);
  });

  describe('takes only what it can do:', () => {
    it('past its bound it refuses at once, also what still has to be looked up', async () => {
      const { proxy, slow } = await behindProxy();
      const full = replicaOver(await db.connect(proxy.url), { queueMax: 3 });
      const held = proxy.holdAt('BEGIN');
      const waiting = [full.allocate(order(1)), full.createBatch(`new-${tests}`, sku, 1), full.releaseOrder('none')];
      await held;
      const refused = [full.allocate(order(2)), full.createBatch(`more-${tests}`, sku, 1)];
      expect(await codes(refused)).toEqual(['overloaded', 'overloaded']);
      proxy.goOn();
      expect(await codes(waiting)).toEqual(['done', 'done', 'done']);
      expect(await codes([full.allocate(order(2))])).toEqual(['done']);
      await slow.unitOfWork.idle();
    });

    it('what was not begun at its deadline is refused, and never done', async () => {
      const { proxy } = await behindProxy();
      const hasty = replicaOver(await db.connect(proxy.url), { deadline: 200 });
      await hasty.releaseOrder('none');
      const held = [proxy.holdAt('BEGIN')];
      const runs = [hasty.allocate(order(1)), hasty.allocate(order(2)), hasty.createBatch(`late-${tests}`, sku, 1)];
      await Promise.all(held);
      expect(await codes(runs)).toEqual(['overloaded', 'overloaded', 'overloaded']);
      proxy.goOn();
      await hasty.unitOfWork.idle();
      expect(await promised()).toEqual({ units: 0, lines: 0, events: 0 });
      const { rowCount } = await client.query('SELECT FROM allocation.batch WHERE ref = $1', [`late-${tests}`]);
      expect(rowCount).toBe(0);
    });

    it('without a database it says so, at the deadline at the latest', async () => {
      const { proxy } = await behindProxy();
      const hasty = replicaOver(await db.connect(proxy.url), { deadline: 300 });
      await proxy.close();
      expect(await codes([hasty.allocate(order(1)), hasty.releaseOrder('none')])).toEqual(['overloaded', 'overloaded']);
      closing.pop();
      await hasty.unitOfWork.idle();
    });

    it('closing, it refuses what is new and finishes what was begun', async () => {
      const { proxy, slow } = await behindProxy();
      const held = proxy.holdAt('COMMIT\0');
      const begun = [slow.allocate(order(1)), slow.createBatch(`begun-${tests}`, other, 5)];
      await held;
      begun.push(slow.allocate(order(2)));
      let closed = false;
      const close = slow.unitOfWork.close().then(() => (closed = true));
      await expect(slow.allocate(order(3))).rejects.toBeInstanceOf(Overloaded);
      expect(closed).toBe(false);
      proxy.goOn();
      await close;
      expect(await codes(begun)).toEqual(['done', 'done', 'done']);
      expect(await promised()).toEqual({ units: 2, lines: 2, events: 2 });
    });

    it('closing, it does not wait for a look-up longer than its caller does', async () => {
      const { proxy, slow } = await behindProxy({ deadline: 200 });
      const held = proxy.holdAt('allocation.batch_ref');
      const run = codes([slow.releaseOrder('none')]);
      await held;
      await slow.unitOfWork.close();
      expect(await run).toEqual(['overloaded']);
    });

    it('closing, it does not wait for works that nobody waits for any more', async () => {
      const outside = await db.client();
      await outside.query('BEGIN');
      await outside.query(`SELECT pg_advisory_xact_lock(hashtextextended('product:${sku}', 0))`);
      const hasty = replicaOver(await db.connect(), { deadline: 200 });
      const run = codes([hasty.allocate(order(1))]);
      await hasty.unitOfWork.close();
      expect(await run).toEqual(['overloaded']);
      await outside.query('ROLLBACK');
    });
  });

  describe('survives its connections:', () => {
    it('a server session that is ended in the middle of a transaction', async () => {
      const { proxy, slow } = await behindProxy();
      const held = proxy.holdAt('COMMIT\0');
      const runs = times(10, (i) => slow.allocate(order(i)));
      await held;
      const { rowCount } = await client.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
         WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      expect(rowCount).toBeGreaterThan(0);
      proxy.goOn();
      expect((await Promise.all(runs)).every(({ status, repeated }) => status === 'promised' && !repeated)).toBe(true);
      expect(await promised()).toEqual({ units: 10, lines: 10, events: 10 });
    });

    it('sessions that are ended at any moment, again and again', async () => {
      const both = [replicaOver(await db.connect()), replicaOver(await db.connect())];
      let ended = 0;
      let done = 0;
      const load = times(20, async (worker) => {
        for (let i = 0; ended < 15; i += 1, done += 1) {
          const answer = await both[worker % 2]!.allocate(order(`${worker}/${i}`, 1, i % 2 ? sku : other));
          expect(answer).toMatchObject({ repeated: false });
        }
      });
      await client.query('UPDATE allocation.batch SET purchased = 1000000 WHERE sku = ANY($1)', [[sku, other]]);
      while (ended < 15) {
        const { rowCount } = await client.query(
          `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
           WHERE datname = current_database() AND state <> 'idle' AND application_name = 'batchwise'`,
        );
        ended += rowCount!;
      }
      await Promise.all(load);
      const [one, two] = (await Promise.all([promised(), promised(other)])) as { units: number }[];
      expect(one).toEqual({ units: one!.units, lines: one!.units, events: one!.units });
      expect(two).toEqual({ units: two!.units, lines: two!.units, events: two!.units });
      expect(one!.units + two!.units).toBe(done);
    });

    it('a statement that takes too long: its connection is closed, not used again', async () => {
      const { slow } = await behindProxy({ answer: 300, poolSize: 1 });
      await client.query(`
        CREATE SEQUENCE naps;
        CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF new.order_id LIKE 'sleepy%' AND nextval('naps') = 1 THEN PERFORM pg_sleep(1); END IF;
          RETURN new;
        END $$;
        CREATE TRIGGER nap BEFORE INSERT ON allocation.line FOR EACH ROW EXECUTE FUNCTION nap()`);
      const sessionOf = async (): Promise<unknown> => {
        const { rows } = await client.query(
          `SELECT array_agg(pid) AS pids FROM pg_stat_activity
           WHERE datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'`,
        );
        return (rows[0] as { pids: number[] | null }).pids;
      };
      const run = slow.allocate(order('sleepy'));
      await until(async () => (await sessionOf()) !== null);
      expect(await run).toMatchObject({ status: 'promised', repeated: false });
      await client.query('DROP TRIGGER nap ON allocation.line');
      expect(await promised()).toEqual({ units: 1, lines: 1, events: 1 });
      expect(await slow.allocate(order('after'))).toMatchObject({ status: 'promised' });
    });

    it('connections that are silent: whoever needs none of their SKUs goes on', async () => {
      const { proxy, slow } = await behindProxy({ deadline: 1_500 });
      const silent = [proxy.nextCommit('silence before')];
      const stuck = [slow.allocate(order('stuck'))];
      await Promise.all(silent);
      proxy.goOn();
      const begun = Date.now();
      for (let i = 0; i < 10; i += 1) await slow.allocate(order(i, 1, other));
      expect(Date.now() - begun).toBeLessThan(1_500);
      expect(await promised(other)).toEqual({ units: 10, lines: 10, events: 10 });
      await proxy.close();
      expect(await codes(stuck)).toEqual(['outcome-unknown']);
      closing.pop();
    });
  });
});
