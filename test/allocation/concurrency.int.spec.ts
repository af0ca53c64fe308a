import type { Client } from 'pg';
import { CreateBatch } from '../../src/allocation/contract/commands';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PostgresProxy } from '../support/postgres-proxy';
import { impatientDatabase, type Replica, ReplicaProcess, replicaOver, until } from '../support/replica';

const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const count = <T>(all: readonly T[], one: T): number => all.filter((each) => each === one).length;
/** What became of works: the answer, or the code of the error. */
const outcomes = async <T>(runs: readonly Promise<T>[]): Promise<(T | string)[]> =>
  (await Promise.allSettled(runs)).map((run) =>
    run.status === 'fulfilled' ? run.value : ((run.reason as { code?: string }).code ?? String(run.reason)),
  );
/** A generator of numbers below n that is the same in every run. */
const dice = (seed: number) => (n: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return Math.floor((seed / 2 ** 31) * n);
};

describe('Many who want the same', () => {
  let db: TestDatabase;
  let client: Client;
  let replica: Replica;
  let other: Replica;
  const proxies: PostgresProxy[] = [];
  let tests = 0;
  let sku: string, second: string, third: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    replica = replicaOver(await db.connect());
    other = replicaOver(await db.connect());
  });
  afterAll(() => db.drop());
  beforeEach(() => {
    tests += 1;
    [sku, second, third] = ['LAMP', 'SOFA', 'VASE'].map((name) => `${name}-${tests}`) as [string, string, string];
  });

  afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

  const order = (name: string | number, qty: number, of = sku) => line(`${name}-${tests}`, of, qty);
  const batchOf = (of: string): string => `batch-${of}`;
  const stock = (qty: number, ...skus: string[]) =>
    Promise.all(skus.map((each) => replica.createBatch(batchOf(each), each, qty)));
  /** What the database holds of a SKU: its counter, and the sum of its lines. */
  const promised = async (of = sku): Promise<unknown> => {
    const { rows } = await client.query(
      `SELECT (SELECT sum(promised)::int FROM allocation.batch WHERE sku = $1) AS counted,
              (SELECT sum(qty)::int FROM allocation.line WHERE sku = $1 AND status = 'promised') AS lines`,
      [of],
    );
    return rows[0];
  };
  const versions = async (of = sku): Promise<number[]> => {
    const { rows } = await client.query<{ version: number }>(
      'SELECT version::int FROM platform.event WHERE stream = $1 ORDER BY version',
      [`product:${of}`],
    );
    return rows.map((row) => row.version);
  };
  /** Whatever the sessions that have ended met. */
  const deadlocks = async (): Promise<number> => {
    const { rows } = await client.query<{ deadlocks: number }>(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    );
    return rows[0]!.deadlocks;
  };
  const lockWaiters = async (): Promise<number> => {
    const { rowCount } = await client.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rowCount!;
  };
  /** A replica that reaches the database through a proxy. */
  const behindProxy = async (): Promise<{ proxy: PostgresProxy; slow: Replica }> => {
    const proxy = await PostgresProxy.before(db.url);
    proxies.push(proxy);
    return { proxy, slow: replicaOver(await db.connect(proxy.url)) };
  };

  describe('get what there is, and no unit more', () => {
    it('1,000 at once for 750 units, in one process', async () => {
      await stock(750, sku);
      const answers = await Promise.all(times(1_000, (i) => replica.allocate(order(i, 1))));
      const statuses = answers.map(({ status }) => status);
      expect([count(statuses, 'promised'), count(statuses, 'refused')]).toEqual([750, 250]);
      expect(await promised()).toEqual({ counted: 750, lines: 750 });
      expect(await versions()).toEqual(times(1_001, (i) => i + 1));
    });

    it('1,000 at once for 750 units, from two processes', async () => {
      await stock(750, sku);
      const processes = await Promise.all(times(2, () => ReplicaProcess.start(db.url)));
      const answers = await Promise.all(
        processes.map((each, p) => each.allocateAll(times(500, (i) => order(`${p}/${i}`, 1)))),
      );
      await Promise.all(processes.map((each) => each.stop()));
      const statuses = answers.flat();
      expect([count(statuses, 'promised'), count(statuses, 'refused')]).toEqual([750, 250]);
      expect(await promised()).toEqual({ counted: 750, lines: 750 });
      expect(await versions()).toEqual(times(1_001, (i) => i + 1));
    }, 30_000);

    it('whoever comes second, over another replica, sees what the first was promised', async () => {
      await stock(10, sku);
      const { proxy, slow: first } = await behindProxy();
      const held = proxy.holdAt('COMMIT\0');
      const early = first.allocate(order('early', 7));
      await held;
      const late = other.allocate(order('late', 7));
      await until(async () => (await lockWaiters()) > 0);
      proxy.goOn();
      expect(await early).toMatchObject({ status: 'promised' });
      expect(await late).toMatchObject({ status: 'refused' });
      expect(await promised()).toEqual({ counted: 7, lines: 7 });
    });

    it('whoever waits for a row that someone outside changes, sees the change', async () => {
      await stock(10, sku);
      const outside = await db.client();
      await outside.query('BEGIN');
      await outside.query(`SELECT FROM allocation.product WHERE sku = '${sku}' FOR UPDATE`);
      await outside.query(`UPDATE allocation.batch SET purchased = 5 WHERE sku = '${sku}'`);
      const late = other.allocate(order('late', 7));
      await until(async () => (await lockWaiters()) > 0);
      await outside.query('COMMIT');
      expect(await late).toMatchObject({ status: 'refused' });
    });

    it('also when a batch shrinks below what was promised meanwhile', async () => {
      await stock(300, sku);
      const allocations = times(400, (i) => (i % 2 ? replica : other).allocate(order(i, 1)));
      const shrink = other.changeBatch(batchOf(sku), { qty: 120 });
      await Promise.all([...allocations, shrink]);
      expect(await promised()).toEqual({ counted: 120, lines: 120 });
    });
  });

  it('never wait for each other in a circle, whatever their orders name', async () => {
    const skus = times(12, (i) => `${sku}-${i}`);
    await stock(1_000, ...skus);
    const roll = dice(7);
    const pools = await Promise.all(times(2, () => impatientDatabase(db.url, { answer: 10_000 })));
    const replicas = pools.map(({ database }) => replicaOver(database, { groupMax: 3 }));
    const orders = times(300, (i) => {
      const names = [...new Set(times(1 + roll(5), () => skus[roll(skus.length)]!))];
      return replicas[i % 2]!.allocateOrder(
        `${i}-${tests}`,
        names.map((name) => order(i, 1, name)),
      );
    });
    const answers = await Promise.all(orders);
    await Promise.all(pools.map(({ close }) => close()));
    const { rows } = await client.query(
      'SELECT sum(promised)::int AS promised FROM allocation.batch WHERE sku = ANY($1)',
      [skus],
    );
    expect(rows).toEqual([{ promised: answers.flatMap((answer) => answer.lines).length }]);
    expect(await deadlocks()).toBe(0);
  });

  it('never wait for each other in a circle when the SKUs that they wait for are free again', async () => {
    const pairs = times(4, (i) => [`${sku}-${i}`, `${second}-${i}`] as const);
    await stock(10, ...pairs.flat());
    const pools = await Promise.all(times(2, () => impatientDatabase(db.url, { answer: 10_000 })));
    const outside = await db.client();
    await outside.query('BEGIN');
    for (const of of pairs.flat()) await outside.query(lockOutside.advisory(of));
    const orders = pools.flatMap(({ database }, r) => {
      const each = replicaOver(database);
      return pairs.map((pair, i) => {
        const names = r === 0 ? pair : [...pair].reverse();
        return each.allocateOrder(
          `${r}/${i}-${tests}`,
          names.map((name) => order(`${r}/${i}`, 1, name)),
        );
      });
    });
    await until(async () => (await lockWaiters()) === 8);
    await outside.query('COMMIT');
    await Promise.all(orders);
    await Promise.all(pools.map(({ close }) => close()));
    expect(await deadlocks()).toBe(0);
  });

  it('get each batch reference once, whoever asks for the references in whatever order', async () => {
    const refs = times(40, (i) => `${i}-${tests}`);
    const creations = [
      ...refs.map((ref, i) => replica.createBatch(ref, `${sku}-${i}`, 1)),
      ...[...refs].reverse().map((ref, i) => other.createBatch(ref, `${second}-${i}`, 1)),
    ];
    const answers = await outcomes(creations);
    expect(count(answers, 'batch-exists')).toBe(40);
    const { rows } = await client.query('SELECT count(*)::int AS made FROM allocation.batch WHERE ref = ANY($1)', [
      refs,
    ]);
    expect(rows).toEqual([{ made: 40 }]);
  });

  describe('do not disturb each other:', () => {
    /** The database refuses the lines of one order with an error of this code. @returns what ends that */
    async function refusing(name: string, code: string): Promise<() => Promise<unknown>> {
      await client.query(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF new.order_id = '${order(name, 1).orderId}' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '${code}'; END IF;
          RETURN new;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON allocation.line FOR EACH ROW EXECUTE FUNCTION refuse()`);
      return () => client.query('DROP FUNCTION refuse CASCADE');
    }

    it('a refused order in a group of 100', async () => {
      await stock(99, sku, second);
      const groups: number[] = [];
      const watched = replicaOver(await db.connect(), {}, { groupEnded: (works) => groups.push(works) });
      const runs = times(100, (i) =>
        i === 50
          ? watched.allocateOrder(order('bad', 1).orderId, [order('bad', 1), order('bad', 100, second)])
          : watched.allocate(order(i, 1)).then(({ status }) => status),
      );
      const answers = await outcomes<unknown>(runs);
      expect(groups).toEqual([100]);
      expect(answers[50]).toBe('order-not-promised');
      expect(count<unknown>(answers, 'promised')).toBe(99);
      expect(await promised()).toEqual({ counted: 99, lines: 99 });
      expect(await promised(second)).toEqual({ counted: 0, lines: null });
    });

    it('one that the database refuses to store', async () => {
      await stock(50, sku, second);
      const accept = await refusing('poison', 'P0042');
      const runs = times(60, (i) => replica.allocate(order(i === 33 ? 'poison' : i, 1, i % 2 ? sku : second)));
      const answers = await outcomes(runs);
      await accept();
      expect(answers.filter((answer) => typeof answer === 'string')).toEqual(['P0042']);
      expect(answers[33]).toBe('P0042');
      expect(await promised()).toEqual({ counted: 29, lines: 29 });
      expect(await promised(second)).toEqual({ counted: 30, lines: 30 });
      expect(await versions()).toEqual(times(30, (i) => i + 1));
    });

    it('one that can never be stored, for a reason that looks as if it would pass', async () => {
      await stock(50, sku, second);
      const accept = await refusing('conflict', '40001');
      const patient = replicaOver(await db.connect(), { deadline: 1_500 });
      const runs = times(20, (i) => patient.allocate(order(i === 7 ? 'conflict' : i, 1, i % 2 ? sku : second)));
      const answers = await outcomes(runs);
      await accept();
      expect(answers.map((answer, i) => (typeof answer === 'string' ? `${i} ${answer}` : ''))).toEqual(
        times(20, (i) => (i === 7 ? '7 overloaded' : '')),
      );
      expect(await promised()).toEqual({ counted: 9, lines: 9 });
    });

    it('one whose batch reference another replica gives to another SKU at the same moment', async () => {
      const { proxy, slow: first } = await behindProxy();
      const ref = batchOf('raced');
      const held = proxy.holdAt('COMMIT\0');
      const winner = first.createBatch(ref, sku, 5);
      await held;
      const loser = other.createBatch(ref, second, 5);
      const bystanders = times(20, (i) => other.createBatch(batchOf(`${third}-${i}`), third, 1));
      await until(async () => (await lockWaiters()) > 0);
      proxy.goOn();
      expect(await winner).toMatchObject({ created: true });
      await expect(loser).rejects.toMatchObject({ code: 'batch-exists' });
      expect((await Promise.all(bystanders)).every(({ created }) => created)).toBe(true);
      expect(await versions(second)).toEqual([]);
    });
  });

  describe('get their turn:', () => {
    it('an order over two SKUs that others never leave alone', async () => {
      await stock(1_000_000, sku, second);
      let over = false;
      let served = 0;
      const load = [replica, other].flatMap((each, r) =>
        [sku, second].flatMap((of) =>
          times(8, async (worker) => {
            for (let i = 0; !over; i += 1, served += 1) await each.allocate(order(`${r}/${worker}/${i}`, 1, of));
          }),
        ),
      );
      await until(() => served > 200);
      const before = served;
      const both = await replica.allocateOrder(order('both', 1).orderId, [order('both', 1), order('both', 1, second)]);
      const overtakenBy = served - before;
      over = true;
      await Promise.all(load);
      expect(both.lines.map(({ status }) => status)).toEqual(['promised', 'promised']);
      expect(overtakenBy).toBeLessThan(1_000);
    });

    it('those of one SKU in the order in which they came, also beside one that has to wait for another SKU', async () => {
      await stock(10, sku, second);
      const outside = await lockedFromOutside('advisory', second);
      const both = replica.allocateOrder(order('first', 1).orderId, [order('first', 1), order('first', 1, second)]);
      const behindIt = replica.allocate(order('second', 10));
      await until(async () => (await lockWaiters()) > 0);
      await outside.query('COMMIT');
      expect(await both).toMatchObject({ lines: [{ status: 'promised' }, { status: 'promised' }] });
      expect(await behindIt).toMatchObject({ status: 'refused' });
    });
  });

  const lockOutside = {
    advisory: (of: string) => `SELECT pg_advisory_xact_lock(hashtextextended('product:${of}', 0))`,
    product: (of: string) => `SELECT FROM allocation.product WHERE sku = '${of}' FOR UPDATE`,
    batch: (of: string) => `SELECT FROM allocation.batch WHERE sku = '${of}' FOR UPDATE`,
  };
  const lockedFromOutside = async (kind: keyof typeof lockOutside, of: string): Promise<Client> => {
    const outside = await db.client();
    await outside.query('BEGIN');
    await outside.query(lockOutside[kind](of));
    return outside;
  };

  describe.each(['advisory', 'product', 'batch'] as const)(
    'while someone outside holds a SKU by its %s lock',
    (kind) => {
      it('those of other SKUs go on, and those of the SKU when it is free', async () => {
        await stock(100, sku, second, third);
        const outside = await lockedFromOutside(kind, sku);
        const begun = Date.now();
        const stuck = times(5, (i) => replica.allocate(order(`stuck${i}`, 1)));
        for (let wave = 0; wave < 4; wave += 1) {
          await Promise.all(times(20, (i) => replica.allocate(order(`${wave}/${i}`, 1, i % 2 ? second : third))));
        }
        const passed = Date.now() - begun;
        expect(await versions()).toEqual([1]);
        await outside.query('COMMIT');
        const answers = await Promise.all(stuck);
        expect(answers.map(({ status }) => status)).toEqual(times(5, () => 'promised'));
        expect(await promised()).toEqual({ counted: 5, lines: 5 });
        // Those outside hold on until they are told to let go, so whoever waited for them would still be waiting.
        expect(passed).toBeLessThan(5_000);
      });

      it('its callers hear at their deadline that it was not done, or may have been', async () => {
        await stock(100, sku);
        const outside = await lockedFromOutside(kind, sku);
        const hasty = replicaOver(await db.connect(), { deadline: 400 });
        const answers = await outcomes(times(3, (i) => hasty.allocate(order(i, 1))));
        for (const answer of answers) expect(['overloaded', 'outcome-unknown']).toContain(answer);
        await outside.query('COMMIT');
        await hasty.unitOfWork.idle();
        const { counted } = (await promised()) as { counted: number };
        if (count(answers, 'overloaded') === 3) expect(counted).toBe(0);
        expect((await Promise.all(times(3, (i) => hasty.allocate(order(i, 1))))).map(({ status }) => status)).toEqual(
          times(3, () => 'promised'),
        );
        expect(await promised()).toEqual({ counted: 3, lines: 3 });
      });
    },
  );

  it('are not kept waiting by more SKUs that someone holds than there are transactions to wait for them', async () => {
    const held = times(6, (i) => `${sku}-${i}`);
    await stock(10, ...held, second);
    const outside = await Promise.all(held.map((of) => lockedFromOutside('advisory', of)));
    const stuck = held.map((of) => replica.allocate(order('stuck', 1, of)));
    await until(async () => (await lockWaiters()) >= 4);
    await outside[5]!.query('COMMIT');
    await outside[4]!.query('COMMIT');
    expect(await Promise.all([stuck[4], stuck[5]])).toMatchObject([{ status: 'promised' }, { status: 'promised' }]);
    await Promise.all(outside.slice(0, 4).map((each) => each.query('COMMIT')));
    await Promise.all(stuck);
  });

  describe('leave a log', () => {
    it('in which the transactions of a SKU are in the order of its versions', async () => {
      const skus = times(4, (i) => `${sku}-${i}`);
      await stock(10_000, ...skus);
      const roll = dice(11);
      const runs = times(400, (i) => {
        const names = roll(3) ? [skus[roll(4)]!] : skus.filter(() => roll(2));
        return (i % 2 ? replica : other).allocateOrder(
          `${i}-${tests}`,
          names.map((name) => order(i, 1, name)),
        );
      });
      await Promise.all(runs);
      expect(await outOfOrder()).toEqual([]);
    });

    it('in which one that waited for a second SKU does not come before what it waited for', async () => {
      // The order that names both waits while it has the first SKU, and someone changes the second meanwhile.
      const { rows } = await client.query<{ sku: string }>(
        `SELECT sku FROM unnest($1::text[]) AS sku ORDER BY hashtextextended('product:' || sku, 0)`,
        [[sku, second]],
      );
      const [early, late] = rows.map((row) => row.sku) as [string, string];
      await stock(10, early, late);
      const { proxy, slow } = await behindProxy();
      const held = proxy.holdAt('product-try-to-lock');
      const single = slow.allocate(order('single', 1, late));
      await held;
      const both = other.allocateOrder(order('both', 1).orderId, [order('both', 1, early), order('both', 1, late)]);
      await until(async () => (await lockWaiters()) > 0);
      proxy.goOn();
      await Promise.all([single, both]);
      await replica.allocate(order('after', 1, late));
      expect(await outOfOrder()).toEqual([]);
    });

    it('in which time never runs backwards within a SKU, even if the clock of the database does', async () => {
      await stock(10, sku);
      await client.query(`UPDATE allocation.product SET changed_at = now() + interval '1 hour' WHERE sku = $1`, [sku]);
      await replica.allocate(order(1, 1));
      await replica.allocate(order(2, 1));
      const { rows } = await client.query(
        `SELECT occurred_at > now() + interval '50 minutes' AS late FROM platform.event
         WHERE stream = $1 AND version > 1 ORDER BY version`,
        [`product:${sku}`],
      );
      expect(rows).toEqual([{ late: true }, { late: true }]);
      const backwards = await client.query(
        `SELECT FROM (SELECT occurred_at < lag(occurred_at) OVER (PARTITION BY stream ORDER BY version) AS back
                      FROM platform.event) AS event WHERE back`,
      );
      expect(backwards.rowCount).toBe(0);
    });
  });

  const outOfOrder = async (): Promise<unknown[]> => {
    const { rows } = await client.query(`
      SELECT stream, version FROM (
        SELECT stream, version, (transaction_id, position) < lag((transaction_id, position))
          OVER (PARTITION BY stream ORDER BY version) AS wrong
        FROM platform.event) AS event
      WHERE wrong`);
    return rows;
  };

  it('find a reference that is theirs already, whoever made it', async () => {
    const creations = times(30, (i) => (i % 2 ? replica : other).createBatch(batchOf(sku), sku, 5));
    const made = await Promise.all(creations);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    await expect(
      replica.unitOfWork.run({ skus: [second], refs: [batchOf(sku)] }, (products) =>
        products.claim(batchOf(sku), second).addBatch(new CreateBatch(batchOf(sku), second, 5)),
      ),
    ).rejects.toMatchObject({ code: 'batch-exists' });
  });
});
