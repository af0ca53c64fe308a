import type { Client } from 'pg';
import { StoredWebhooks } from '../../src/notifications/persistence/stored-webhooks';
import { webhookInvariants } from '../../src/notifications/persistence/webhook-invariants';
import { brokenBy, itSees } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { appended } from '../support/relay-world';
import { webhookCorruptions } from './webhook-corruptions';
import { published, registered } from './webhook-world';

const url = 'https://example.com/hook';

describe('batchwise verify, of webhooks', () => {
  const all = webhookInvariants.map((invariant) => new invariant());
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const database = await db.connect();
    await appended(database, 'product:EARLY');
    await registered(database, url);
    const { webhook } = await registered(database, url, ['test.happened.v1']);
    await appended(database, 'product:A', 2);
    await new StoredWebhooks(database).change(webhook.id, { eventTypes: ['test.other.v1'] });
    await appended(database, 'product:A');
    const { transactionId, position } = await published(database);
    await appended(database, 'product:A');
    await client.query(
      `INSERT INTO platform.subscriber (name, transaction_id, position) VALUES ('webhooks', $1::text::xid8, $2)`,
      [transactionId, position],
    );
  });
  afterAll(() => db.drop());

  itSees(all, webhookCorruptions, () => client);

  it('does not miss what is parked', async () => {
    const parked = `
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('webhooks', 'product:A', 1, 1);
      DELETE FROM notifications.webhook_delivery WHERE version = 1`;
    expect(await brokenBy(parked, all[1]!, client)).toEqual([]);
  });
});
