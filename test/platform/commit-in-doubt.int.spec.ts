import type { Client } from 'pg';
import { OutcomeUnknown } from '../../src/kernel/unit-of-work';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PostgresProxy } from '../support/postgres-proxy';
import { impatientDatabase, type Replica, replicaOver, until } from '../support/replica';

/** How long the client that the proxy stands before waits for an answer. */
const answer = 300;

describe('A COMMIT whose answer never came', () => {
  let db: TestDatabase;
  let client: Client;
  let proxy: PostgresProxy;
  /** Reaches the database through the proxy. */
  let replica: Replica;
  /** Reaches it directly. */
  let other: Replica;
  const closing: (() => Promise<void>)[] = [];
  let tests = 0;
  let sku: string, ref: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    other = replicaOver(await db.connect());
  });
  afterAll(() => db.drop());

  beforeEach(async () => {
    tests += 1;
    [sku, ref] = [`SKU-${tests}`, `batch-${tests}`];
    await other.createBatch(ref, sku, 10);
    proxy = await PostgresProxy.before(db.url);
    replica = await hastyReplica(5_000);
  });
  afterEach(async () => {
    await Promise.all([...closing.splice(0).map((close) => close()), proxy.close()]);
  });

  /** A replica behind the proxy whose callers wait for `deadline` milliseconds only. */
  const hastyReplica = async (deadline: number): Promise<Replica> => {
    const { database, close } = await impatientDatabase(proxy.url, { answer });
    closing.push(close);
    return replicaOver(database, { deadline });
  };
  const order = (name: string, qty: number, of = sku) => line(`${name}-${tests}`, of, qty);
  /** The SKU's stream: `allocated o1`. */
  const history = async (of = sku): Promise<string[]> => {
    const { rows } = await client.query('SELECT type, data FROM platform.event WHERE stream = $1 ORDER BY version', [
      `product:${of}`,
    ]);
    return (rows as { type: string; data: { orderId?: string; ref?: string } }[]).map(({ type, data }) => {
      const about = (data.orderId ?? data.ref)!.replace(`-${tests}`, '');
      return `${type.split('.')[1]} ${about}`;
    });
  };

  describe('if it had committed', () => {
    it.each(['cut after', 'silence after'] as const)(
      'is answered with what was committed, whatever others did since (%s)',
      async (fault) => {
        const struck = proxy.nextCommit(fault);
        const allocation = replica.allocate(order('o1', 10));
        await struck;
        await other.releaseLine(order('o1', 10));
        await other.allocate(order('o2', 10));
        proxy.goOn();
        expect(await allocation).toMatchObject({ status: 'promised', batchRef: ref, repeated: false });
        expect(await history()).toEqual(['batch-created batch', 'allocated o1', 'deallocated o1', 'allocated o2']);
      },
    );

    it('is answered so to every work of the group, refusals and errors too', async () => {
      await replica.allocate(order('o1', 4));
      const struck = proxy.nextCommit('cut after');
      const group = [
        replica.allocate(order('o2', 6)),
        replica.allocate(order('o3', 1)),
        replica.allocate(order('o1', 5)),
        replica.releaseLine(order('o1', 4)),
      ];
      await struck;
      await other.cancelBatch(ref);
      proxy.goOn();
      expect(await Promise.allSettled(group)).toMatchObject([
        { value: { status: 'promised' } },
        { value: { status: 'refused' } },
        { reason: { code: 'line-already-allocated' } },
        { value: { released: [{ qty: 4 }] } },
      ]);
      expect((await history()).slice(2, 6)).toEqual([
        'allocated o2',
        'out-of-stock o3',
        'deallocated o1',
        'batch-cancelled batch',
      ]);
    });

    it('is answered even while someone else holds its SKU, once that ends', async () => {
      const struck = proxy.nextCommit('cut after');
      const allocation = replica.allocate(order('o1', 10));
      await struck;
      const outside = await db.client();
      await outside.query('BEGIN');
      await outside.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [`product:${sku}`]);
      proxy.goOn();
      await until(async () => (await waitingForLocks()) > 0);
      await outside.query('COMMIT');
      expect(await allocation).toMatchObject({ status: 'promised', repeated: false });
      expect(await history()).toEqual(['batch-created batch', 'allocated o1']);
    });
  });

  describe('if it had not', () => {
    it('is run again over what others did since', async () => {
      const struck = proxy.nextCommit('cut before');
      const allocation = replica.allocate(order('o1', 10));
      await struck;
      await other.allocate(order('o2', 3));
      proxy.goOn();
      expect(await allocation).toMatchObject({ status: 'refused', repeated: false });
      expect(await history()).toEqual(['batch-created batch', 'allocated o2', 'out-of-stock o1']);
    });

    it('is run again in the same order, each work once', async () => {
      const struck = proxy.nextCommit('cut before');
      const group = [1, 2, 3, 4].map((i) => replica.allocate(order(`o${i}`, 3)));
      await struck;
      proxy.goOn();
      expect((await Promise.all(group)).map(({ status }) => status)).toEqual([
        'promised',
        'promised',
        'promised',
        'refused',
      ]);
      expect(await history()).toEqual([
        'batch-created batch',
        'allocated o1',
        'allocated o2',
        'allocated o3',
        'out-of-stock o4',
      ]);
    });

    it('may be in doubt again and again, and is done once', async () => {
      let allocation: Promise<unknown> | undefined;
      for (const fault of ['cut before', 'cut before', 'cut after'] as const) {
        const struck = proxy.nextCommit(fault);
        proxy.goOn();
        allocation ??= replica.allocate(order('o1', 10));
        await struck;
      }
      proxy.goOn();
      expect(await allocation).toMatchObject({ status: 'promised', repeated: false });
      expect(await history()).toEqual(['batch-created batch', 'allocated o1']);
    });
  });

  describe('if nobody can tell', () => {
    it('is answered as unknown at the deadline, and the same request finds out later', async () => {
      const hasty = await hastyReplica(600);
      const struck = proxy.nextCommit('silence before');
      const allocation = hasty.allocate(order('o1', 10));
      await struck;
      proxy.goOn();
      await expect(allocation).rejects.toMatchObject({ code: 'outcome-unknown', kind: 'unavailable' });
      await endSessionsWithLocks();
      expect(await other.allocate(order('o1', 10))).toMatchObject({ status: 'promised', repeated: false });
    });

    it('is not run again behind the back of its client', async () => {
      const hasty = await hastyReplica(200);
      const struck = proxy.nextCommit('cut before');
      const allocation = hasty.allocate(order('o1', 10));
      await struck;
      await expect(allocation).rejects.toBeInstanceOf(OutcomeUnknown);
      proxy.goOn();
      await hasty.unitOfWork.idle();
      expect(await other.allocate(order('o1', 10))).toMatchObject({ repeated: false });
    });

    it('is never halved to find a culprit: it may have been committed as a whole', async () => {
      const struck = proxy.nextCommit('cut after');
      const group = [replica.allocate(order('o1', 6)), replica.allocate(order('o2', 6))];
      await struck;
      await other.releaseLine(order('o1', 6));
      await client.query(`
        CREATE SEQUENCE checks;
        CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('checks') <= 2 THEN RAISE EXCEPTION 'the check fails, for a reason of its own'; END IF;
          RETURN new;
        END $$;
        CREATE TRIGGER fail_twice BEFORE INSERT ON platform.unit_of_work FOR EACH ROW EXECUTE FUNCTION fail_twice()`);
      try {
        proxy.goOn();
        expect(await Promise.all(group)).toMatchObject([{ status: 'promised' }, { status: 'refused' }]);
        expect((await client.query(`SELECT nextval('checks')::int AS made`)).rows).toEqual([{ made: 4 }]);
        expect(await history()).toEqual(['batch-created batch', 'allocated o1', 'out-of-stock o2', 'deallocated o1']);
      } finally {
        await client.query('DROP TRIGGER fail_twice ON platform.unit_of_work');
      }
    });
  });

  it('does not keep works that were left out of the group from going on', async () => {
    const [busy, busyRef] = [`busy-${tests}`, `busy-batch-${tests}`];
    await other.createBatch(busyRef, busy, 10);
    const outside = await db.client();
    await outside.query('BEGIN');
    await outside.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [`product:${busy}`]);
    const struck = proxy.nextCommit('cut after');
    const both = [replica.allocate(order('o1', 1)), replica.allocate(order('o2', 1, busy))];
    await struck;
    proxy.goOn();
    expect(await both[0]).toMatchObject({ status: 'promised' });
    await outside.query('COMMIT');
    expect(await both[1]).toMatchObject({ status: 'promised' });
    expect(await history(busy)).toEqual([expect.stringContaining('batch-created'), 'allocated o2']);
  });

  it.each(['client', 'server'] as const)(
    'and a connection cut at any byte that the %s sends, leave each command done exactly once',
    async (side) => {
      const bytesOfOneCommand = side === 'client' ? 6_000 : 2_000;
      const lines = Array.from({ length: 25 }, (_, i) => order(`o${i}`, 1));
      await other.changeBatch(ref, { qty: 25 });
      for (const [i, one] of lines.entries()) {
        const cut = proxy.cutWithin(1 + Math.floor((i * bytesOfOneCommand) / lines.length), side);
        const allocation = replica.allocate(one);
        await Promise.race([cut, allocation]);
        expect(await allocation).toMatchObject({ status: 'promised', repeated: false });
      }
      expect((await history()).slice(2)).toEqual(lines.map((_, i) => `allocated o${i}`));
      const [row] = await stock();
      expect(row).toEqual({ purchased: 25, promised: 25 });
    },
  );

  const stock = async (): Promise<unknown[]> => {
    return (await client.query('SELECT purchased, promised FROM allocation.batch WHERE sku = $1', [sku])).rows;
  };
  const waitingForLocks = async (): Promise<number> => {
    const { rowCount } = await client.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rowCount!;
  };
  const endSessionsWithLocks = async (): Promise<void> => {
    await client.query(`
      SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
      WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
  };
});
