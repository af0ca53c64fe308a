import * as fc from 'fast-check';
import { Logger } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { Client } from 'pg';
import { productEvents } from '../../src/allocation/contract/events';
import { StockLow, StockRecovered } from '../../src/inventory/contract/events';
import { GetStock, type Stock } from '../../src/inventory/contract/queries';
import { dayOf } from '../../src/inventory/domain/availability';
import { stockOf } from '../../src/inventory/domain/stock-levels';
import { StockProjection } from '../../src/inventory/projections/stock.projection';
import { GetStockHandler } from '../../src/inventory/queries/stock.query';
import { Config } from '../../src/platform/config';
import type { Connection, Database, Queryable } from '../../src/platform/database/database';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { ProjectionDelivery } from '../../src/platform/event-log/projection-delivery';
import { rebuild } from '../../src/platform/event-log/rebuild';
import { revive, type StoredEvent } from '../../src/platform/event-log/stored-event';
import { ProjectionsEqualAFreshFold } from '../../src/platform/verify/projections-equal-a-fresh-fold';
import { liveALittle } from '../allocation/corruptions';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { Ledger } from '../support/ledger';
import { relayOf, type RunningRelay } from '../support/relay-world';
import { type Replica, replicaOver, until } from '../support/replica';
import { runs } from '../support/runs';
import { histories, type Moment, played, skus } from './histories';

const projection = new StockProjection();
const classes = new Map(productEvents.map((event) => [event.type, event]));

/** Everything that the read model says, in one text per row. */
async function rowsOf(database: Queryable): Promise<string[]> {
  const rows: string[] = [];
  for (const table of projection.tables) {
    const text = `SELECT row::text AS row FROM inventory.${table} AS row ORDER BY 1`;
    for (const { row } of await database.query<{ row: string }>({ text })) rows.push(`${table} ${row}`);
  }
  return rows;
}

const forget = { text: `TRUNCATE ${projection.tables.map((table) => `inventory.${table}`).join()}` };

const wholeLog = (database: Queryable): Promise<StoredEvent[]> =>
  readAfter(database, { transactionId: '0', position: '0' }, 1_000_000);

describe('The projection of stock', () => {
  let test: TestDatabase;
  let client: Client;
  let database: Database;
  let replica: Replica;
  let running: RunningRelay;
  let stock: GetStockHandler;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await freshDatabase();
    client = await test.client();
    database = await test.connect();
    replica = replicaOver(database);
    running = relayOf(database, [projection]);
    running.relay.start();
    stock = new GetStockHandler(database);
  });
  afterAll(async () => {
    await running.relay.stop();
    await test.drop();
  });

  const behind = {
    text: `
      SELECT 1 FROM allocation.product AS p LEFT JOIN inventory.stock AS s USING (sku)
      WHERE s.version IS DISTINCT FROM p.version LIMIT 1`,
  };
  const isUpToDate = async (): Promise<boolean> => (await database.query(behind)).length === 0;

  const levels = {
    text: `
      SELECT sku, version::float8 AS version, on_hand::float8 AS "onHand", inbound::float8 AS inbound,
             promised::float8 AS promised, available::float8 AS available, backordered::float8 AS backordered,
             nullif(next_arrival, 'infinity')::text AS "nextArrival"
      FROM inventory.stock WHERE sku = $1`,
  };
  const rowOf = async (sku: string): Promise<unknown> => (await database.query(levels, [sku]))[0];

  /** A SKU as the log says, folded by the tests' own reader of it. */
  async function foldOf(sku: string): Promise<Stock> {
    const ledger = new Ledger();
    for (const stored of await wholeLog(database)) {
      const { stream, version, type } = stored;
      if (stored.data.sku === sku) ledger.apply({ stream, version, event: revive(stored, classes.get(type)!) });
    }
    const batches = [...ledger.batches.values()].sort((a, b) => (a.ref < b.ref ? -1 : 1));
    const backordered = ledger.queue(sku).reduce((units, { qty }) => units + qty, 0);
    const version = ledger.versions.get(`product:${sku}`)!;
    return stockOf({ sku, version, backordered, batches }, dayOf(new Date()));
  }

  /** What the watch of stock tells: of one SKU that it is low, of another one that it was. */
  const crossings = {
    text: `
      INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
      SELECT 'stock:' || sku, version, gen_random_uuid(), type, jsonb_build_object('sku', sku), now(), 'test'
      FROM (VALUES ('LAMP', 1, '${StockLow.type}'), ('CHAIR', 1, '${StockLow.type}'), ('CHAIR', 2, '${StockRecovered.type}'))
        AS told (sku, version, type)`,
  };

  /** Nothing but a few products with everything that may be stored. They are told to be low before there is any of them. */
  async function liveAgain(): Promise<void> {
    await database.query(forget);
    await database.query({
      text: `
        TRUNCATE platform.event, allocation.product, allocation.batch_ref, allocation.batch, allocation.line,
          allocation.order_line`,
    });
    await database.query(crossings);
    await liveALittle(replica);
    await until(isUpToDate);
  }

  it('equals a fold of the log, and what allocation has, after any commands', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        await database.query(forget);
        const moments = await played(history, { commands: replica, database, client });
        await until(isUpToDate);
        for (const sku of skus) {
          const now: Moment | undefined = moments.findLast((moment) => moment.sku === sku);
          const shown = await stock.execute(new GetStock(sku));
          if (!now) expect(shown).toBeNull();
          else {
            const { version, numbers, batches } = now;
            expect(shown).toMatchObject({ version, ...numbers, batches });
            expect(shown).toEqual(await foldOf(sku));
            expect(await rowOf(sku)).toEqual({ sku, version, ...numbers, nextArrival: shown!.nextArrival });
          }
        }
      }),
      { numRuns: runs(8) },
    );
  });

  it('takes an amended line that waits for what it wants now, whether it is then served, released or left', async () => {
    await replica.createBatch('amended-1', 'AMENDED', 1);
    for (const order of ['served', 'released', 'left'])
      await replica.allocate(line(order, 'AMENDED', 5), { whenOutOfStock: 'backorder' });
    await replica.amendLine(line('served', 'AMENDED', 5), 7);
    await replica.amendLine(line('released', 'AMENDED', 5), 70);
    await replica.amendLine(line('left', 'AMENDED', 5), 4);
    await until(isUpToDate);
    expect(await stock.execute(new GetStock('AMENDED'))).toMatchObject({ backordered: 81 });
    await replica.releaseLine(line('released', 'AMENDED', 70));
    await replica.createBatch('amended-2', 'AMENDED', 7);
    await until(isUpToDate);
    expect(await stock.execute(new GetStock('AMENDED'))).toMatchObject({ backordered: 4, promised: 7, available: 1 });
  });

  it('comes to the same rows however the log is cut', async () => {
    await liveAgain();
    const live = await rowsOf(database);
    const events = await wholeLog(database);
    const delivery = new ProjectionDelivery(projection);
    for (const size of [1, 7, events.length]) {
      const connection = await database.connect();
      await connection.query({ text: 'BEGIN' });
      await connection.query(forget);
      for (let at = 0; at < events.length; at += size)
        expect(await delivery.project(connection, events.slice(at, at + size))).toEqual([]);
      expect(await rowsOf(connection)).toEqual(live);
      await ended(connection);
    }
  });

  it('knows which SKUs are low, as was told last', async () => {
    await liveAgain();
    const low = { text: `SELECT sku FROM inventory.stock WHERE low` };
    expect(await database.query(low)).toEqual([{ sku: 'LAMP' }]);
  });

  it('gets identical rows by a rebuild, and goes on', async () => {
    await until(isUpToDate);
    const live = await rowsOf(database);
    await database.query({ text: `UPDATE inventory.stock SET on_hand = on_hand + 1, next_arrival = '2031-01-01'` });
    await database.query({ text: 'DELETE FROM inventory.stock_batch' });
    expect(await rowsOf(database)).not.toEqual(live);
    await rebuild(database, new StockProjection());
    expect(await rowsOf(database)).toEqual(live);
    await replica.createBatch('after-the-rebuild', 'REBUILT', 5);
    await until(isUpToDate);
    expect(await stock.execute(new GetStock('REBUILT'))).toMatchObject({ available: 5 });
  });

  describe('is verified', () => {
    const broken = async (): Promise<string[]> => {
      const discovery = { getProviders: () => [{ instance: projection }] } as unknown as DiscoveryService;
      const config = Config.load({}).withDatabase(test.url);
      const found: string[] = [];
      for await (const one of new ProjectionsEqualAFreshFold(discovery, config).check()) found.push(one);
      return found;
    };

    beforeAll(liveAgain);

    it.each([
      ['a level is another', `UPDATE inventory.stock SET promised = promised + 1 WHERE sku = 'LAMP'`],
      ['a version is another', `UPDATE inventory.stock SET version = version - 1 WHERE sku = 'LAMP'`],
      ['a SKU is missing', `DELETE FROM inventory.stock WHERE sku = 'LAMP'`],
      ['a SKU came from nowhere', `INSERT INTO inventory.stock VALUES ('NOBODY', 1, 0, 0, 0, DEFAULT, 0)`],
      ['a SKU is low', `UPDATE inventory.stock SET low = true WHERE sku = 'CHAIR'`],
      ['the next arrival is another', `UPDATE inventory.stock SET next_arrival = next_arrival - 1 WHERE sku = 'LAMP'`],
      ['a batch is not cancelled', `UPDATE inventory.stock_batch SET cancelled = false WHERE ref = 'chair-1'`],
      ['a line waits for more', `UPDATE inventory.stock_waiting SET qty = qty + 1 WHERE order_id = 'o3'`],
    ])('and it is seen that %s', async (_how, sql) => {
      await until(isUpToDate);
      expect(await broken()).toEqual([]);
      expect((await client.query(sql)).rowCount).toBe(1);
      expect(await broken()).not.toEqual([]);
      await rebuild(database, projection);
    });
  });

  it('parks what is said of a batch that it does not know', async () => {
    const stored = (await wholeLog(database)).find(({ type }) => type === 'allocation.batch-cancelled.v1')!;
    const connection = await database.connect();
    await connection.query({ text: 'BEGIN' });
    const unknown = { ...stored, data: { ...stored.data, ref: 'nobody-knows-it' } };
    expect(await new ProjectionDelivery(projection).project(connection, [unknown])).toHaveLength(1);
    await ended(connection);
  });
});

async function ended(connection: Connection): Promise<void> {
  await connection.query({ text: 'ROLLBACK' });
  connection.release();
}
