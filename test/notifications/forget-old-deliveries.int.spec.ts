import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { ForgetOldDeliveries } from '../../src/notifications/messaging/forget-old-deliveries';
import { NotificationsModule } from '../../src/notifications/notifications.module';
import { invariants } from '../../src/notifications/persistence/invariants';
import { webhookInvariants } from '../../src/notifications/persistence/webhook-invariants';
import type { Database } from '../../src/platform/database/database';
import { renumberRestoredLog } from '../../src/platform/event-log/restored-log';
import type { Position } from '../../src/platform/event-log/stored-event';
import { Workers } from '../../src/platform/workers';
import { startService } from '../support/app';
import { brokenBy } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { appended } from '../support/relay-world';
import { until } from '../support/replica';
import { deliveries, letPass } from './out-of-stock';
import { emptied, published, registered, timePasses, webhookDeliveries } from './webhook-world';

const url = 'https://example.com/hook';
const all = [...invariants, ...webhookInvariants].map((invariant) => new invariant());

/** What `batchwise verify` finds after `sql`, nothing of which is kept. */
async function broken(client: Client, sql = 'SELECT 1'): Promise<string[]> {
  const found: string[] = [];
  for (const invariant of all) found.push(...(await brokenBy(sql, invariant, client)));
  return found;
}

describe('ForgetOldDeliveries, of webhooks', () => {
  let test: TestDatabase;
  let database: Database;
  let client: Client;
  let worker: ForgetOldDeliveries;

  beforeAll(async () => {
    test = await freshDatabase();
    database = await test.connect();
    client = await test.client();
    worker = new ForgetOldDeliveries(database, 30);
  });
  afterAll(() => test.drop());
  beforeEach(async () => {
    await emptied(database);
    await database.query({ text: 'TRUNCATE platform.event, platform.subscriber, notifications.horizon CASCADE' });
  });

  const told = async (): Promise<string[]> => (await webhookDeliveries(database)).map(({ event }) => event);

  const dealtWith = ({ transactionId, position }: Position): Promise<unknown> =>
    database.query(
      {
        text: `
          INSERT INTO platform.subscriber (name, transaction_id, position) VALUES ('webhooks', $1::xid8, $2)
          ON CONFLICT (name) DO UPDATE SET transaction_id = excluded.transaction_id, position = excluded.position`,
      },
      [transactionId, position],
    );

  /** Deliveries of a version of `product:A` ended so many days ago. */
  const ended = (version: number, status: 'delivered' | 'dead', daysAgo: number): Promise<unknown> =>
    database.query(
      {
        text: `
          UPDATE notifications.webhook_delivery
          SET status = $2, done_at = clock_timestamp() - make_interval(days => $3) WHERE version = $1`,
      },
      [version, status, daysAgo],
    );

  const endedAll = (): Promise<unknown> =>
    database.query({
      text: `UPDATE notifications.webhook_delivery SET status = 'delivered', done_at = clock_timestamp()`,
    });

  it('forgets what was delivered long ago and what was given up twice as long ago, never what waits', async () => {
    await registered(database, url);
    await appended(database, 'product:A', 5);
    await dealtWith(await published(database));
    await timePasses(database, '900 days');
    await ended(1, 'delivered', 31);
    await ended(2, 'delivered', 29);
    await ended(3, 'dead', 59);
    await ended(4, 'dead', 61);
    expect(await broken(client)).toEqual([]);
    expect(await worker.forget()).toBe(2);
    expect(await told()).toEqual(['product:A/2', 'product:A/3', 'product:A/5']);
    expect(await broken(client)).toEqual([]);
    expect(await worker.forget()).toBe(0);
  });

  it('leaves verify to miss what else is gone', async () => {
    await registered(database, url);
    await appended(database, 'product:A', 3);
    await dealtWith(await published(database));
    await ended(1, 'delivered', 31);
    await worker.forget();
    const gone = (version: number) => `DELETE FROM notifications.webhook_delivery WHERE version = ${version}`;
    expect(await broken(client, gone(2))).toEqual([expect.stringContaining('product:A version 2 is missing')]);
    expect(await broken(client, gone(3))).toEqual([expect.stringContaining('product:A version 3 is missing')]);
  });

  it('moves the horizon forwards only', async () => {
    await registered(database, url);
    await appended(database, 'product:A', 3);
    await dealtWith(await published(database));
    await ended(3, 'delivered', 31);
    await worker.forget();
    await ended(1, 'delivered', 31);
    expect(await worker.forget()).toBe(1);
    expect(await broken(client)).toEqual([]);
  });

  it('counts the days anew for what was sent again', async () => {
    await registered(database, url);
    await appended(database, 'product:A');
    await dealtWith(await published(database));
    await ended(1, 'delivered', 31);
    await database.query({ text: `UPDATE notifications.webhook_delivery SET status = 'pending', done_at = NULL` });
    expect(await worker.forget()).toBe(0);
    await endedAll();
    expect(await worker.forget()).toBe(0);
    await timePasses(database, '31 days');
    expect(await worker.forget()).toBe(1);
  });

  it('writes nothing again when events are repeated, as it keeps what the relay may come to again', async () => {
    await registered(database, url);
    await appended(database, 'product:A');
    const first = await published(database);
    await appended(database, 'product:A');
    await appended(database, 'product:B');
    const last = await published(database);
    await endedAll();
    await timePasses(database, '31 days');

    expect(await worker.forget()).toBe(0); // nobody knows yet where the subscriber is
    await dealtWith(first);
    expect(await worker.forget()).toBe(1);
    await published(database, first);
    expect(await told()).toEqual(['product:A/2', 'product:B/1']);

    await dealtWith(last);
    await database.query({
      text: `INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('webhooks', 'product:A', 2, 1)`,
    });
    expect(await worker.forget()).toBe(1);
    expect(await told()).toEqual(['product:A/2']);
    await database.query({ text: 'DELETE FROM platform.parked_event' });
    expect(await worker.forget()).toBe(1);
    expect(await broken(client)).toEqual([]);
  });

  it('shares the work with other replicas, many rows at a time', async () => {
    const other = new ForgetOldDeliveries(await test.connect(), 30);
    for (let n = 0; n < 5; n += 1) await registered(database, url);
    await appended(database, 'product:A', 500);
    await dealtWith(await published(database));
    await endedAll();
    await timePasses(database, '31 days');
    await appended(database, 'product:A');
    const counts = await Promise.all([worker.forget(), other.forget()]);
    expect(counts[0] + counts[1]).toBe(2_500);
    expect(await told()).toEqual([]);
    expect(await broken(client)).toEqual([]);
    await dealtWith(await published(database));
    expect(await broken(client)).toEqual([]);
    expect(await broken(client, 'DELETE FROM notifications.webhook_delivery')).toHaveLength(5);
  });

  it('remembers how far it came in a log that was restored from another server', async () => {
    await registered(database, url);
    await appended(database, 'product:A', 2);
    await dealtWith(await published(database));
    await ended(1, 'delivered', 31);
    await worker.forget();
    const places = Reflect.getMetadata('batchwise:places-in-log', NotificationsModule) as string[];
    await database.transaction((transaction) => renumberRestoredLog(transaction, places));
    expect(await broken(client)).toEqual([]);
    expect(await broken(client, 'DELETE FROM notifications.webhook_delivery')).toHaveLength(1);
  });

  it('works on its own, and stops when it is told to', async () => {
    await registered(database, url);
    await appended(database, 'product:A');
    await dealtWith(await published(database));
    await ended(1, 'delivered', 31);
    const own = new ForgetOldDeliveries(database, 30);
    own.start();
    await until(async () => (await told()).length === 0);
    await own.stop();
  });
});

describe('ForgetOldDeliveries, of mails', () => {
  let test: TestDatabase;
  let database: Database;
  let client: Client;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    test = await freshDatabase();
    database = await test.connect();
    client = await test.client();
    app = await startService(test.url, { DELIVERIES_KEPT_DAYS: '7' });
    app.get(Workers, { strict: false }).start();
  });
  afterAll(async () => {
    await app.close();
    await test.drop();
  });

  const send = async (method: 'POST' | 'PUT', path: string, payload?: object): Promise<number> =>
    (await app.inject({ method, url: path, ...(payload && { payload }) })).statusCode;
  const rowsOf = async (table: string): Promise<number> =>
    (await database.query({ text: `SELECT FROM ${table}` })).length;

  /** The subscribers that have every event behind them about which there are mails. */
  const dealtWith = {
    text: `
      SELECT FROM platform.subscriber AS s WHERE name LIKE 'email-%' AND NOT EXISTS (
        SELECT FROM platform.event AS e WHERE type ~ 'out-of-stock|stock-low'
          AND (e.transaction_id, e.position) > (s.transaction_id, s.position))`,
  };

  it('forgets them with the orders that they stand for, and answers 404 when they are to be sent again', async () => {
    await send('PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 10 });
    await send('POST', '/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 20 });
    for (const [orderId, qty] of [
      ['o1', 19],
      ['o2', 5],
      ['o3', 5],
      ['o4', 5],
    ])
      await send('POST', '/v1/allocations', { orderId, sku: 'LAMP', qty });
    // One about low stock, one at once, and a digest that waits for its hour.
    const logged = async () => (await deliveries(database)).filter(({ status }) => status === 'logged');
    await until(async () => (await rowsOf('notifications.out_of_stock_event')) === 3 && (await logged()).length === 2);
    await until(async () => (await database.query(dealtWith)).length === 2);
    const forget = () => app.get(ForgetOldDeliveries, { strict: false }).forget();
    await letPass(database, '6 days');
    expect(await forget()).toBe(0);
    const { id } = (await logged())[0]!;

    await until(async () => (await deliveries(database)).every(({ status }) => status === 'logged'));
    await letPass(database, '1 day 1 hour');
    expect(await broken(client)).toEqual([]);
    expect(await forget()).toBe(2);
    expect(await deliveries(database)).toEqual([expect.objectContaining({ digest: true, orders: 2 })]);
    expect(await rowsOf('notifications.out_of_stock_event')).toBe(2);
    expect(await broken(client)).toEqual([]);
    expect(await send('POST', `/v1/admin/deliveries/${id}/redeliver`)).toBe(404);

    await letPass(database, '8 days');
    expect(await forget()).toBe(1);
    expect(await rowsOf('notifications.out_of_stock_event')).toBe(0);
    expect(await broken(client)).toEqual([]);
  });
});
