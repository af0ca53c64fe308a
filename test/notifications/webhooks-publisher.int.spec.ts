import type { Database } from '../../src/platform/database/database';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { isRestoredLog, renumberRestoredLog } from '../../src/platform/event-log/restored-log';
import { StoredWebhooks } from '../../src/notifications/persistence/stored-webhooks';
import type { WebhookSender } from '../../src/notifications/messaging/webhook-sender';
import { WebhooksPublisher } from '../../src/notifications/messaging/webhooks.publisher';
import { freshDatabase, type TestDatabase } from '../support/database';
import { append, appended, relayOf } from '../support/relay-world';
import { until } from '../support/replica';
import { emptied, published, registered, webhookDeliveries } from './webhook-world';

const url = 'https://example.com/hook';
const places = ['notifications.webhook_subscription'];

describe('WebhooksPublisher', () => {
  let test: TestDatabase;
  let database: Database;
  let registry: StoredWebhooks;

  beforeEach(async () => {
    await emptied(database);
    await database.query({ text: 'TRUNCATE platform.event, platform.subscriber CASCADE' });
  });
  beforeAll(async () => {
    test = await freshDatabase();
    database = await test.connect();
    registry = new StoredWebhooks(database);
  });
  afterAll(() => test.drop());

  const told = async (): Promise<string[]> => (await webhookDeliveries(database)).map(({ event }) => event);

  it('writes a delivery for every webhook that asked for an event, once, however often it is told of it', async () => {
    const all = await registered(database, url);
    const some = await registered(database, url, ['test.happened.v1', 'allocation.allocated.v1']);
    await registered(database, url, ['allocation.allocated.v1']);
    await appended(database, 'product:A', 2);
    await published(database);
    await published(database);
    const rows = await webhookDeliveries(database);
    expect(rows.map(({ event }) => event)).toEqual(['product:A/1', 'product:A/1', 'product:A/2', 'product:A/2']);
    expect(new Set(rows.map(({ webhookId }) => webhookId))).toEqual(new Set([all.webhook.id, some.webhook.id]));
  });

  it('writes none for what happened before the registration, whenever it gets to it', async () => {
    await appended(database, 'product:A');
    await registered(database, url);
    await appended(database, 'product:A');
    await published(database);
    expect(await told()).toEqual(['product:A/2']);
  });

  it('goes by what was asked for when the event happened', async () => {
    const { webhook } = await registered(database, url);
    await appended(database, 'product:A', 1, 'told');
    await registry.change(webhook.id, { eventTypes: ['allocation.allocated.v1'] });
    await appended(database, 'product:A', 1, 'not asked for');
    await registry.change(webhook.id, { eventTypes: 'all' });
    await appended(database, 'product:A', 1, 'told');
    await registry.change(webhook.id, { enabled: false });
    await appended(database, 'product:A', 1, 'disabled');
    await registry.change(webhook.id, { enabled: true, description: 'again' });
    await appended(database, 'product:A', 1, 'told');
    await published(database);
    expect(await told()).toEqual(['product:A/1', 'product:A/3', 'product:A/5']);
  });

  it('misses nothing of what commits around a registration', async () => {
    const early = await database.connect();
    await early.query({ text: 'BEGIN' });
    await append(early, 'product:EARLY');
    const late = await database.connect();
    await registered(database, url);
    await late.query({ text: 'BEGIN' });
    await append(late, 'product:LATE');
    await late.query({ text: 'COMMIT' });
    // Nothing is delivered that something may still come before.
    expect(await readAfter(database, { transactionId: '0', position: '0' }, 10)).toEqual([]);
    await early.query({ text: 'COMMIT' });
    for (const connection of [early, late]) connection.release();
    await published(database);
    expect(await told()).toEqual(['product:LATE/1']);
  });

  it('wakes the sender', async () => {
    await registered(database, url);
    await appended(database, 'product:A');
    const announce = jest.fn();
    const { relay } = relayOf(database, [new WebhooksPublisher(database, { announce } as unknown as WebhookSender)]);
    relay.start();
    await until(() => announce.mock.calls.length > 0);
    await relay.stop();
    expect(await told()).toEqual(['product:A/1']);
  });

  it('goes on where it was in a log that was restored from another server', async () => {
    await appended(database, 'product:A');
    const { webhook } = await registered(database, url);
    await registry.change(webhook.id, { description: 'changed' });
    await appended(database, 'product:A');
    // Ids of a server that has seen more transactions than this one.
    const ahead = (table: string): Promise<unknown> =>
      database.query({
        text: `UPDATE ${table} SET transaction_id = (transaction_id::text::bigint + 1000000)::text::xid8`,
      });
    await ahead('notifications.webhook_subscription');
    expect(await isRestoredLog(database)).toBe(false);
    expect(await isRestoredLog(database, places)).toBe(true);
    await ahead('platform.event');
    await database.transaction((transaction) => renumberRestoredLog(transaction, places));
    expect(await isRestoredLog(database, places)).toBe(false);

    await appended(database, 'product:A');
    await registry.change(webhook.id, { enabled: false });
    await appended(database, 'product:A');
    await published(database);
    expect(await told()).toEqual(['product:A/2', 'product:A/3']);
  });
});
