import type { CommandBus } from '@nestjs/cqrs';
import type { ChangeWebhook, WebhookWithSecret } from '../../src/notifications/contract/commands';
import { RegisterWebhook } from '../../src/notifications/contract/commands';
import type { EventTypes } from '../../src/notifications/contract/queries';
import { Destinations } from '../../src/notifications/messaging/destinations';
import { WebhookSender } from '../../src/notifications/messaging/webhook-sender';
import { WebhooksPublisher } from '../../src/notifications/messaging/webhooks.publisher';
import { StoredWebhooks } from '../../src/notifications/persistence/stored-webhooks';
import { parseAllowList } from '../../src/platform/allow-list';
import type { Database } from '../../src/platform/database/database';
import { isBehind, readAfter, readHead } from '../../src/platform/event-log/event-log-reader';
import type { Position, StoredEvent } from '../../src/platform/event-log/stored-event';
import { until } from '../support/replica';

/** What tests may be sent to. */
export const loopback = parseAllowList('127.0.0.1')!;

/** A sender as in one replica; what it commands reaches the registry. */
export const senderOn = (database: Database, destinations = new Destinations(loopback)): WebhookSender => {
  const registry = new StoredWebhooks(database);
  const execute = ({ id, change }: ChangeWebhook) => registry.change(id, change);
  return new WebhookSender(database, destinations, { execute } as unknown as CommandBus);
};

export const registered = (
  database: Database,
  url: string,
  eventTypes: EventTypes = 'all',
): Promise<WebhookWithSecret> => new StoredWebhooks(database).add(new RegisterWebhook(url, eventTypes));

/** Publishes everything behind a place of the log, as the relay does, and says how far that was. */
export async function published(
  database: Database,
  after: Position = { transactionId: '0', position: '0' },
): Promise<Position> {
  const publisher = new WebhooksPublisher(database, { announce: () => undefined } as unknown as WebhookSender);
  const head = (await readHead(database)) ?? after;
  let events: StoredEvent[] = [];
  // Transactions elsewhere on the server keep events back for a moment.
  await until(async () => {
    events = await readAfter(database, after, 1_000);
    return !isBehind(events.at(-1) ?? after, head);
  });
  if (events.length > 0) await publisher.publish(events);
  return head;
}

export interface DeliveryRow {
  readonly id: string;
  readonly webhookId: string;
  readonly event: string;
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly attempts: number;
  readonly responseStatus: number | null;
  readonly error: string | null;
}

/** All deliveries, in the order of what they tell. */
export const webhookDeliveries = (database: Database): Promise<DeliveryRow[]> =>
  database.query<DeliveryRow>({
    text: `
      SELECT id, webhook_id AS "webhookId", stream || '/' || version AS event, status, attempts,
             response_status AS "responseStatus", last_error AS error
      FROM notifications.webhook_delivery ORDER BY stream, version, webhook_id`,
  });

/** Lets time pass for all webhooks and deliveries. @param interval as PostgreSQL writes it: `59 minutes` */
export async function timePasses(database: Database, interval: string): Promise<void> {
  const shift = (columns: string[]): string =>
    columns.map((column) => `${column} = ${column} - $1::interval`).join(', ');
  const rows = ['created_at', 'waiting_since', 'first_attempt_at', 'next_attempt_at', 'claimed_until', 'done_at'];
  await database.query({ text: `UPDATE notifications.webhook_delivery SET ${shift(rows)}` }, [interval]);
  const webhooks = ['old_secret_until', 'failing_since', 'open_until', 'created_at'];
  await database.query({ text: `UPDATE notifications.webhook SET ${shift(webhooks)}` }, [interval]);
}

/** Lets time pass until the next attempt is due, and the endpoint may be tried. */
export async function timePassesUntilDue(database: Database): Promise<void> {
  const [{ wait }] = (await database.query<{ wait: string }>({
    text: `
      SELECT (greatest(min(next_attempt_at), max(open_until)) - clock_timestamp())::text AS wait
      FROM notifications.webhook_delivery AS d JOIN notifications.webhook AS w ON w.id = d.webhook_id WHERE status = 'pending'`,
  })) as [{ wait: string }];
  await timePasses(database, wait);
}

export const emptied = (database: Database): Promise<unknown> =>
  database.query({ text: 'TRUNCATE notifications.webhook CASCADE' });
