import { randomUUID } from 'node:crypto';
import { OutOfStock } from '../../src/allocation/contract/events';
import { OutOfStockMail } from '../../src/notifications/domain/out-of-stock-mail';
import type { Database } from '../../src/platform/database/database';

/** The mail as it is without any configuration. */
export const booksMail = new OutOfStockMail({
  sender: 'allocations@example.com',
  recipient: 'stock@made.com',
  subject: 'allocation service notification',
  body: 'Out of stock for <sku>',
});

let version = 0;

/** An event as the relay delivers it. */
export function outOfStock(sku: string, orderId: string, lineId = '1'): OutOfStock {
  const event = new OutOfStock({ orderId, lineId, sku, qty: 1, priority: 0 });
  version += 1;
  const occurredAt = new Date().toISOString();
  event.origin = {
    id: randomUUID(),
    stream: `product:${sku}`,
    version,
    occurredAt,
    actor: 'test',
    correlationId: null,
  };
  return event;
}

/** A row of the table of deliveries. */
export interface Delivery {
  readonly id: string;
  readonly sku: string;
  readonly digest: boolean;
  readonly orders: number;
  readonly body: string;
  readonly messageId: string;
  readonly status: 'pending' | 'sent' | 'logged' | 'dead';
  readonly attempts: number;
  readonly error: string | null;
}

/** All deliveries, in the order in which they were written. */
export const deliveries = (database: Database): Promise<Delivery[]> =>
  database.query<Delivery>({
    text: `
      SELECT id, sku, digest, orders, body, message_id AS "messageId", status, attempts, last_error AS error
      FROM notifications.delivery ORDER BY position`,
  });

/** Lets time pass for all deliveries. @param interval as PostgreSQL writes it: `59 minutes` */
export async function letPass(database: Database, interval: string): Promise<void> {
  const times = ['created_at', 'first_attempt_at', 'next_attempt_at', 'claimed_until', 'done_at'];
  const shifts = times.map((time) => `${time} = ${time} - $1::interval`);
  await database.query({ text: `UPDATE notifications.delivery SET ${shifts.join(', ')}` }, [interval]);
}

/** Lets time pass until the next attempt is due. */
export async function letPassUntilDue(database: Database): Promise<void> {
  const [{ wait }] = (await database.query<{ wait: string }>({
    text: `
      SELECT (min(next_attempt_at) - clock_timestamp())::text AS wait
      FROM notifications.delivery WHERE status = 'pending'`,
  })) as [{ wait: string }];
  await letPass(database, wait);
}
