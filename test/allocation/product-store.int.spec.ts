import * as fc from 'fast-check';
import type { Client } from 'pg';
import { productEvents } from '../../src/allocation/contract/events';
import type { DomainEvent } from '../../src/kernel/event';
import type { Database } from '../../src/platform/database/database';
import { type Commands, commandsOver, line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { InMemoryProductUnitOfWork } from '../support/in-memory-product-unit-of-work';
import { Ledger } from '../support/ledger';
import { PostgresProxy } from '../support/postgres-proxy';
import { impatientDatabase, type Replica, replicaOver, until } from '../support/replica';
import { runs } from '../support/runs';

/** Rows that were read, from tables and from indexes. */
interface Reads {
  readonly rows: number;
  readonly entries: number;
}

describe('The product store', () => {
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
  });
  afterAll(() => db.drop());

  describe('reads as much of a product with 20,000 allocations as of one with none', () => {
    const past = 20_000;
    let database: Database;
    let close: () => Promise<void>;
    let replica: Replica;

    beforeAll(async () => {
      // One connection, so that all its reads can be made to show. Its plans are made for tables that have hardly a row, as is known.
      ({ database, close } = await impatientDatabase(db.url, { answer: 30_000, poolSize: 1 }));
      replica = replicaOver(database);
      await client.query('ANALYZE');
      await everyCommand('early-0');
      await client.query('ANALYZE');
      for (let i = 1; i < 9; i += 1) await everyCommand(`early-${i}`);
      await client.query(`
        INSERT INTO allocation.product VALUES ('OLD', ${past + 1}, now());
        INSERT INTO allocation.batch_ref VALUES ('b-OLD-past', 'OLD');
        INSERT INTO allocation.batch (sku, ref, purchased, promised) VALUES ('OLD', 'b-OLD-past', ${past}, ${past});
        INSERT INTO allocation.line
          SELECT 'OLD', 'past-' || i, '1', 1, 'promised', 'b-OLD-past', 0, false, i FROM generate_series(1, ${past}) AS i;
        INSERT INTO allocation.order_line
          SELECT order_id, sku, line_id, qty, status, batch_ref, priority FROM allocation.line WHERE sku = 'OLD'`);
      await replica.createBatch('b-NEW-past', 'NEW', past);
      for (let i = 0; i < 20; i += 1) await replica.allocate(line(`past-${i}`, 'NEW', past / 20));
      for (const sku of ['OLD', 'NEW'])
        await replica.allocate(line(`o2-${sku}`, sku, 1), { whenOutOfStock: 'backorder' });
    }, 30_000);
    afterAll(() => close());

    const everyCommand = async (sku: string): Promise<void> => {
      await replica.createBatch(`b-${sku}-1`, sku, 20);
      await replica.createBatch(`b-${sku}-2`, sku, 20);
      await replica.allocate(line(`o1-${sku}`, sku, 10));
      await replica.allocate(line(`o2-${sku}`, sku, 10));
      await replica.allocate(line(`o3-${sku}`, sku, 15));
      await replica.allocate(line(`o4-${sku}`, sku, 15), { whenOutOfStock: 'backorder' });
      await replica.changeBatch(`b-${sku}-1`, { qty: 5 });
      await replica.changeBatch(`b-${sku}-1`, { qty: 10, eta: '2030-01-01' });
      await replica.amendLine(line(`o4-${sku}`, sku, 1), 14);
      await replica.releaseLine(line(`o3-${sku}`, sku, 1));
      await replica.releaseOrder(`o2-${sku}`);
      await replica.cancelBatch(`b-${sku}-2`);
    };

    const readBy = async (action: () => Promise<unknown>): Promise<Reads> => {
      const before = await allReads();
      await action();
      const after = await allReads();
      return { rows: after.rows - before.rows, entries: after.entries - before.entries };
    };
    const allReads = async (): Promise<Reads> => {
      await database.query({ text: 'SELECT pg_stat_force_next_flush()' });
      const { rows } = await client.query<Reads>(`
        SELECT (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_user_tables) AS rows,
               (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes) AS entries`);
      return rows[0]!;
    };

    it.each<[string, (sku: string) => Promise<unknown>]>([
      ['a new batch', (sku) => replica.createBatch(`b-${sku}-fresh`, sku, 5)],
      ['an allocation', (sku) => replica.allocate(line('o', sku, 2))],
      [
        '300 allocations at once',
        (sku) => Promise.all(Array.from({ length: 300 }, (_, i) => replica.allocate(line(`r${i}`, sku, 99)))),
      ],
      ['an allocation that is refused', (sku) => replica.allocate(line('o-refused', sku, 99))],
      ['a release', (sku) => replica.releaseLine(line('o', sku, 2))],
      ['a release of an order', (sku) => replica.releaseOrder(`o2-${sku}`)],
      ['a batch that shrinks by 10 units', (sku) => replica.changeBatch(`b-${sku}-past`, { qty: past - 10 })],
      ['a batch that is delayed', (sku) => replica.changeBatch(`b-${sku}-past`, { eta: '2030-01-01' })],
      ['a batch that grows again', (sku) => replica.changeBatch(`b-${sku}-past`, { qty: past })],
    ])('for %s', async (_name, action) => {
      const ofNew = await readBy(() => action('NEW'));
      const ofOld = await readBy(() => action('OLD'));
      expect(ofOld.rows).toBeLessThanOrEqual(ofNew.rows + 100);
      expect(ofOld.entries).toBeLessThanOrEqual(ofNew.entries + 100);
    });
  });

  describe('finds under the lock what was not there when it was looked up:', () => {
    let replica: Replica;
    let other: Replica;

    beforeAll(async () => {
      replica = replicaOver(await db.connect());
      other = replicaOver(await db.connect());
    });

    const waitsForLock = async (): Promise<boolean> => {
      const { rowCount } = await client.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return rowCount! > 0;
    };

    it('a line that the order got of the same SKU', async () => {
      await replica.createBatch('b-same', 'SAME', 10);
      await replica.allocate(line('o-same', 'SAME', 1, '1'));
      const proxy = await PostgresProxy.before(db.url);
      const slow = replicaOver(await db.connect(proxy.url));
      const held = proxy.holdAt('COMMIT\0');
      const late = slow.allocate(line('o-same', 'SAME', 2, '2'));
      await held;
      const release = other.releaseOrder('o-same');
      await until(waitsForLock);
      proxy.goOn();
      await late;
      expect((await release).released.map(({ lineId }) => lineId).sort()).toEqual(['1', '2']);
      await proxy.close();
    });

    it('a line that the order got of another SKU', async () => {
      await replica.createBatch('b-one', 'ONE', 10);
      await replica.createBatch('b-two', 'TWO', 10);
      await replica.allocate(line('o-two', 'ONE', 1));
      const outside = await db.client();
      await outside.query('BEGIN');
      await outside.query(`SELECT pg_advisory_xact_lock(hashtextextended('product:ONE', 0))`);
      const release = other.releaseOrder('o-two');
      await until(waitsForLock);
      await replica.allocate(line('o-two', 'TWO', 1));
      await outside.query('COMMIT');
      expect((await release).released.map(({ sku }) => sku).sort()).toEqual(['ONE', 'TWO']);
      const { rows } = await client.query(`SELECT FROM allocation.order_line WHERE order_id = 'o-two'`);
      expect(rows).toEqual([]);
    });

    it('a batch reference that another SKU got', async () => {
      const outside = await db.client();
      await outside.query('BEGIN');
      await outside.query(`SELECT pg_advisory_xact_lock(hashtextextended('product:LATE', 0))`);
      const creation = other.createBatch('b-wanted', 'LATE', 1);
      await until(waitsForLock);
      await replica.createBatch('b-wanted', 'EARLY', 1);
      await outside.query('COMMIT');
      await expect(creation).rejects.toMatchObject({ code: 'batch-exists' });
    });
  });

  describe('has a database that has the last word:', () => {
    beforeAll(async () => {
      const replica = replicaOver(await db.connect());
      await replica.createBatch('b-word', 'WORD', 10);
      await replica.allocate(line('o-word', 'WORD', 4));
    });

    it.each([
      ['more promised than there is', `UPDATE allocation.batch SET promised = 11 WHERE ref = 'b-word'`, '23514'],
      ['less than nothing promised', `UPDATE allocation.batch SET promised = -1 WHERE ref = 'b-word'`, '23514'],
      ['less stock than was promised', `UPDATE allocation.batch SET purchased = 3 WHERE ref = 'b-word'`, '23514'],
      ['promises of a cancelled batch', `UPDATE allocation.batch SET cancelled = true WHERE ref = 'b-word'`, '23514'],
      ['a batch of no product', `INSERT INTO allocation.batch VALUES ('NONE', 'b', 1, 0)`, '23503'],
      ['a batch twice', `INSERT INTO allocation.batch VALUES ('WORD', 'b-word', 1, 0)`, '23505'],
      ['a reference for a second SKU', `INSERT INTO allocation.batch_ref VALUES ('b-word', 'OTHER')`, '23505'],
      [
        'a line twice',
        `INSERT INTO allocation.line VALUES ('WORD', 'o-word', '1', 4, 'promised', 'b-word', 0, false, 2)`,
        '23505',
      ],
      [
        'a line twice in an order',
        `INSERT INTO allocation.order_line VALUES ('o-word', 'WORD', '1', 4, 'promised', 'b-word', 0)`,
        '23505',
      ],
      ['a line of no unit', `UPDATE allocation.line SET qty = 0 WHERE order_id = 'o-word'`, '23514'],
      ['a promise from no batch', `UPDATE allocation.line SET batch_ref = null WHERE order_id = 'o-word'`, '23514'],
      ['a standing that is none', `UPDATE allocation.line SET status = 'lost' WHERE order_id = 'o-word'`, '23514'],
      [
        'a version of a stream twice',
        `INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
         VALUES ('product:WORD', 2, gen_random_uuid(), 't', '{}', now(), 'a')`,
        '23505',
      ],
      ['a version before the first', `UPDATE allocation.product SET version = 0 WHERE sku = 'WORD'`, '23514'],
    ])('it refuses %s', async (_name, statement, code) => {
      await expect(client.query(statement)).rejects.toMatchObject({ code });
    });

    it('it refuses a work whose version someone took behind its back, and nothing of it is stored', async () => {
      const proxy = await PostgresProxy.before(db.url);
      const slow = replicaOver(await db.connect(proxy.url));
      const held = proxy.holdAt('product-update');
      const allocation = slow.allocate(line('o-behind', 'WORD', 1));
      await held;
      // Nobody who asks first could do it: the row is locked. So the event log is what they meet in.
      await client.query(`
        INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
        VALUES ('product:WORD', 3, gen_random_uuid(), 't', '{}', now(), 'someone')`);
      proxy.goOn();
      await expect(allocation).rejects.toMatchObject({ code: '23505' });
      const { rows } = await client.query(`SELECT promised FROM allocation.batch WHERE ref = 'b-word'`);
      expect(rows).toEqual([{ promised: 4 }]);
      await client.query(`DELETE FROM platform.event WHERE stream = 'product:WORD' AND version = 3`);
      await proxy.close();
    });
  });

  describe('whatever the history of commands, in groups or one by one', () => {
    type Command = { [K in keyof Commands]: { name: K; args: Parameters<Commands[K]> } }[keyof Commands];
    const named = <K extends Command['name']>(name: K, ...args: fc.Arbitrary<unknown>[]) =>
      fc.tuple(...args).map((args) => ({ name, args }) as unknown as Command);
    const sku = fc.constantFrom('LAMP', 'LAMP', 'SOFA');
    const ref = fc.constantFrom('b1', 'b2', 'b3');
    const orderId = fc.constantFrom('o1', 'o2', 'o3', 'o4');
    const eta = fc.constantFrom(null, '2031-01-01', '2031-01-02');
    const qty = fc.integer({ min: 1, max: 6 });
    const wanted = fc.tuple(orderId, sku, qty, fc.constantFrom('1', '2')).map((args) => line(...args));
    const options = fc.record({
      whenOutOfStock: fc.constantFrom('refuse' as const, 'backorder' as const),
      priority: fc.integer({ min: -1, max: 1 }),
    });
    /** Commands that name their SKUs, and so share a group in the order in which they come. */
    const direct = fc.oneof(
      { weight: 5, arbitrary: named('allocate', wanted, options) },
      { weight: 1, arbitrary: named('amendLine', wanted, qty) },
      { weight: 2, arbitrary: named('releaseLine', wanted) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(orderId, fc.uniqueArray(wanted, { maxLength: 3, selector: (l) => `${l.sku}/${l.lineId}` }), options)
          .map(([id, lines, how]): Command => {
            const own = lines.map((l) => ({ ...l, orderId: id }));
            return { name: 'allocateOrder', args: [id, own, how] };
          }),
      },
    );
    const lookedUp = fc.oneof(
      named('createBatch', ref, sku, fc.nat(12), eta),
      named('changeBatch', ref, fc.record({ qty: fc.nat(12), eta }, { requiredKeys: [] })),
      named('cancelBatch', ref),
      named('releaseOrder', orderId),
    );
    const bursts = fc.array(
      fc.oneof(
        fc.array(direct, { minLength: 1, maxLength: 12 }),
        lookedUp.map((one) => [one]),
      ),
      { minLength: 5, maxLength: 25 },
    );

    const send = (commands: Commands, { name, args }: Command): Promise<unknown> =>
      (commands[name] as (...args: unknown[]) => Promise<unknown>)(...args).catch((error: { code?: string }) => {
        if (error.code === undefined) throw error;
        return error.code;
      });
    const sorted = (rows: Iterable<object>): string[] =>
      [...rows].map((row) => JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))).sort();
    const types = new Map(productEvents.map((event) => [event.type, event]));

    it('the rows are the fold of the events, and both what the port does in memory', async () => {
      const own = await freshDatabase();
      const sql = await own.client();
      const { unitOfWork, ...commands } = replicaOver(await own.connect());
      await fc.assert(
        fc.asyncProperty(bursts, async (history) => {
          await sql.query(`
            TRUNCATE allocation.product, allocation.batch, allocation.batch_ref, allocation.line, allocation.order_line,
                     platform.event, platform.unit_of_work`);
          const inMemory = new InMemoryProductUnitOfWork();
          const expected = commandsOver(inMemory);
          for (const burst of history) {
            const answers = await Promise.all(burst.map((command) => send(commands, command)));
            for (const [i, command] of burst.entries()) expect(answers[i]).toEqual(await send(expected, command));
          }
          const events = await sql.query<{ stream: string; version: number; type: string; data: never }>(
            'SELECT stream, version::int, type, data FROM platform.event ORDER BY stream, version',
          );
          const ledger = new Ledger();
          for (const { stream, version, type, data } of events.rows) {
            const Event = types.get(type)! as new (data: never) => DomainEvent;
            ledger.apply({ stream, version, event: new Event(data) });
          }
          const lines = await sql.query(`
            SELECT sku, order_id AS "orderId", line_id AS "lineId", qty, status, batch_ref AS "batchRef", priority,
                   displaced, since::int AS since FROM allocation.line`);
          const view = await sql.query(`
            SELECT order_id, sku, line_id, qty, status, batch_ref, priority FROM allocation.order_line
            EXCEPT SELECT order_id, sku, line_id, qty, status, batch_ref, priority FROM allocation.line`);
          const batches = await sql.query(
            `SELECT ref, sku, purchased, promised, eta::text, cancelled FROM allocation.batch`,
          );
          const products = await sql.query<{ stream: string; version: number }>(
            `SELECT 'product:' || sku AS stream, version::int FROM allocation.product`,
          );
          const memory = inMemory.rows();
          expect(sorted(lines.rows)).toEqual(sorted(ledger.lines.values()));
          expect(sorted(lines.rows)).toEqual(sorted(memory.lines));
          expect(sorted(batches.rows)).toEqual(sorted(ledger.batches.values()));
          expect(sorted(batches.rows)).toEqual(sorted(memory.batches.map(({ available: _, ...batch }) => batch)));
          expect(view.rows).toEqual([]);
          expect(new Map(products.rows.map((row) => [row.stream, row.version]))).toEqual(ledger.versions);
        }),
        { numRuns: runs(8) },
      );
      await unitOfWork.close();
      await own.drop();
    }, 60_000);
  });
});
