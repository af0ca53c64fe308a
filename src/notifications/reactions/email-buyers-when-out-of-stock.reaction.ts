import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { OutOfStock } from '../../allocation/contract/events';
import { Database } from '../../platform/database/database';
import { Reaction } from '../../platform/event-log/subscriber';
import { DeliverySignal } from '../domain/delivery-signal';
import type { Letter } from '../domain/letter';
import { OutOfStockMail } from '../domain/out-of-stock-mail';

const lockSku = {
  name: 'out-of-stock-lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('notifications.out-of-stock:' || $1, 0))`,
};

const findEvent = {
  name: 'out-of-stock-find-event',
  text: 'SELECT 1 FROM notifications.out_of_stock_event WHERE stream = $1 AND version = $2',
};

/** Locked, so that its sender cannot begin to send a digest to which an order is being added. */
const findLatest = {
  name: 'out-of-stock-find-latest',
  text: `
    SELECT id, orders, digest AND attempts = 0 AS open,
           extract(epoch FROM coalesce(done_at, clock_timestamp()) + spacing - clock_timestamp())::float8 AS "quietFor",
           EXISTS (
             SELECT FROM notifications.out_of_stock_event AS e WHERE e.delivery_id = d.id AND e.order_id = $2
           ) AS counted
    FROM notifications.delivery AS d WHERE kind = 'out-of-stock' AND sku = $1 ORDER BY position DESC LIMIT 1
    FOR UPDATE OF d`,
};

const add = {
  name: 'out-of-stock-add',
  text: `
    WITH digest AS (
      UPDATE notifications.delivery SET orders = $5, body = $6 WHERE id = $4 RETURNING id
    )
    INSERT INTO notifications.out_of_stock_event (stream, version, event_id, order_id, delivery_id)
    SELECT $1, $2, $3, $7, id FROM digest`,
};

const open = {
  name: 'out-of-stock-open',
  text: `
    WITH delivery AS (
      INSERT INTO notifications.delivery
        (stream, version, event_id, kind, sku, channel, sender, recipient, subject, body, digest, spacing, next_attempt_at)
      VALUES ($1, $2, $3, 'out-of-stock', $5, 'mail', $6, $7, $8, $9, $10, make_interval(secs => $11),
              clock_timestamp() + make_interval(secs => $12))
      RETURNING id
    )
    INSERT INTO notifications.out_of_stock_event (stream, version, event_id, order_id, delivery_id)
    SELECT $1, $2, $3, $4, id FROM delivery`,
};

/** The last delivery about a SKU. */
interface Latest {
  readonly id: string;
  readonly orders: number;
  /** It is a digest that nobody has tried to send yet. */
  readonly open: boolean;
  /** Seconds until the next one may follow, if it is sent now or was sent before; negative: it may. */
  readonly quietFor: number;
  /** Whether it stands for the order already. */
  readonly counted: boolean;
}

/**
 * Writes a mail when a SKU runs out of stock. Orders that follow within the hour share a second one, which is due an hour
 * after the mail before it was sent and says for how many different orders it stands. An event counts once, however
 * often it is delivered.
 */
@EventsHandler(OutOfStock)
@Reaction({ name: 'email-buyers-when-out-of-stock', afterLastAttempt: 'skip' })
export class EmailBuyersWhenOutOfStock implements IEventHandler<OutOfStock> {
  constructor(
    private readonly database: Database,
    private readonly mail: OutOfStockMail,
    private readonly signal: DeliverySignal,
  ) {}

  async handle({ data: { sku, orderId }, origin }: OutOfStock): Promise<void> {
    const { stream, version, id } = origin!;
    const due = await this.database.transaction(async (transaction) => {
      await transaction.query(lockSku, [sku]);
      if ((await transaction.query(findEvent, [stream, version])).length > 0) return false;
      const [latest] = await transaction.query<Latest>(findLatest, [sku, orderId]);
      if (latest?.open) {
        const orders = latest.counted ? latest.orders : latest.orders + 1;
        const { body } = this.mail.digest(sku, orders);
        await transaction.query(add, [stream, version, id, latest.id, orders, body, orderId]);
        return false;
      }
      const quietFor = Math.max(0, latest?.quietFor ?? 0);
      const digest = quietFor > 0;
      const letter: Letter = digest ? this.mail.digest(sku, 1) : this.mail.first(sku);
      const { sender, recipient, subject, body } = letter;
      const words = [sender, recipient, subject, body];
      await transaction.query(open, [
        stream,
        version,
        id,
        orderId,
        sku,
        ...words,
        digest,
        OutOfStockMail.quietFor,
        quietFor,
      ]);
      return !digest;
    });
    if (due) this.signal.announce();
  }
}
