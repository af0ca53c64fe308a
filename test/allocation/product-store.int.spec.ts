import type { Client } from 'pg';
import type { Database } from '../../src/platform/database/database';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { impatientDatabase, type Replica, replicaOver } from '../support/replica';

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

  describe('reads as much of a product with 200,000 allocations as of one with none', () => {
    const past = 200_000;
    let database: Database;
    let close: () => Promise<void>;
    let replica: Replica;

    beforeAll(async () => {
      // One connection, so that all its reads can be made to show. Its plans are made while the tables are empty.
      ({ database, close } = await impatientDatabase(db.url, { answer: 30_000, poolSize: 1 }));
      replica = replicaOver(database);
      for (let i = 0; i < 8; i += 1) await everyCommand(`early-${i}`);
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
      ['300 allocations at once', (sku) => Promise.all(Array.from({ length: 300 }, (_, i) => replica.allocate(line(`r${i}`, sku, 99))))],
      ['an allocation that is refused', (sku) => replica.allocate(line('o-refused', sku, 99))],
      ['a release', (sku) => replica.releaseLine(line('o', sku, 2))],
      ['a release of an order', (sku) => replica.releaseOrder('o-none')],
      ['a batch that shrinks by 10 units', (sku) => replica.changeBatch(`b-${sku}-past`, { qty: past - 10 })],
      ['a batch that is delayed', (sku) => replica.changeBatch(`b-${sku}-past`, { eta: '2030-01-01' })],
      ['a batch that grows again', (sku) => replica.changeBatch(`b-${sku}-past`, { qty: past })],
    ])('for %s', async (_, action) => {
      const ofNew = await readBy(() => action('NEW'));
      const ofOld = await readBy(() => action('OLD'));
      console.log(_, ofNew, ofOld);
      expect(ofOld.rows).toBeLessThanOrEqual(ofNew.rows + 100);
      expect(ofOld.entries).toBeLessThanOrEqual(ofNew.entries + 100);
    });
  });
});
