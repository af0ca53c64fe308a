import type { Client } from 'pg';
import { OutOfStock } from '../../src/allocation/contract/events';
import { StockLow } from '../../src/inventory/contract/events';
import { StockLowMail } from '../../src/notifications/domain/stock-low-mail';
import { invariants } from '../../src/notifications/persistence/invariants';
import { EmailBuyersWhenOutOfStock } from '../../src/notifications/reactions/email-buyers-when-out-of-stock.reaction';
import { EmailBuyersWhenStockIsLow } from '../../src/notifications/reactions/email-buyers-when-stock-is-low.reaction';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { revive } from '../../src/platform/event-log/stored-event';
import { line } from '../support/allocation-commands';
import { brokenBy, itSees } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { deliverable } from '../support/relay-world';
import { replicaOver } from '../support/replica';
import { notificationCorruptions } from './corruptions';
import { booksMail } from './out-of-stock';

describe('batchwise verify, of notifications', () => {
  const all = invariants.map((invariant) => new invariant());
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const database = await db.connect();
    const { createBatch, allocate } = replicaOver(database);
    await createBatch('b1', 'LAMP', 1);
    for (const order of ['o1', 'o2', 'o3', 'o4']) await allocate(line(order, 'LAMP', 2));
    const reaction = new EmailBuyersWhenOutOfStock(database, booksMail, { announce: () => undefined });
    await deliverable(database);
    const dealtWith = (await readAfter(database, { transactionId: '0', position: '0' }, 4)).slice(1);
    for (const stored of dealtWith) await reaction.handle(revive(stored, OutOfStock) as OutOfStock);
    const { transactionId, position } = dealtWith.at(-1)!;
    await client.query(
      `INSERT INTO platform.subscriber (name, transaction_id, position)
       VALUES ('email-buyers-when-out-of-stock', $1::text::xid8, $2)`,
      [transactionId, position],
    );
  });
  afterAll(() => db.drop());

  /** A SKU that became low, once told and once not yet. */
  beforeAll(async () => {
    const mail = new StockLowMail({ sender: 'a@b', recipient: 'c@d', subject: 'low', body: '<sku>' });
    const reaction = new EmailBuyersWhenStockIsLow(await db.connect(), mail, { announce: () => undefined });
    const data = { sku: 'SOFA', available: 1, skuVersion: 2, pattern: 'SOFA', reorderPoint: 1, clearAt: 2 };
    await client.query(
      `INSERT INTO platform.event (stream, version, transaction_id, position, id, type, data, occurred_at, actor)
       OVERRIDING SYSTEM VALUE
       SELECT 'stock:SOFA', version, '1', version, gen_random_uuid(), '${StockLow.type}', $1, now(), 'test'
       FROM generate_series(1, 2) AS version`,
      [JSON.stringify(data)],
    );
    await client.query(`
      INSERT INTO platform.subscriber (name, transaction_id, position) VALUES ('email-buyers-when-stock-is-low', '1', 1)`);
    const { rows } = await client.query<{ id: string }>(
      `SELECT id FROM platform.event WHERE stream = 'stock:SOFA' AND version = 1`,
    );
    const event = new StockLow(data);
    const { id } = rows[0]!;
    event.origin = { id, stream: 'stock:SOFA', version: 1, occurredAt: '', actor: 'test', correlationId: null };
    await reaction.handle(event);
  });

  itSees(all, notificationCorruptions, () => client);

  it('does not miss what is parked', async () => {
    const parked = `
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts)
        SELECT 'email-buyers-when-out-of-stock', stream, version, 1 FROM notifications.out_of_stock_event WHERE order_id = 'o3';
      DELETE FROM notifications.out_of_stock_event WHERE order_id = 'o3'`;
    expect(await brokenBy(parked, all[1]!, client)).toEqual([]);
  });
});
