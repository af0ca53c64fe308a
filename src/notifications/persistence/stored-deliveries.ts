import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database';
import { commandTransaction } from '../../platform/unit-of-work/command-transaction';
import { DeliveryArchive } from '../domain/delivery-archive';
import { UnknownDelivery } from '../domain/errors';

/** One attempt stays counted: a digest that was tried takes up no further orders. What is under way is not disturbed. */
const again = `
  status = 'pending', done_at = NULL, next_attempt_at = clock_timestamp(),
  attempts = CASE WHEN done_at IS NULL THEN attempts ELSE least(attempts, 1) END,
  first_attempt_at = CASE WHEN done_at IS NULL THEN first_attempt_at END`;

const redeliver = {
  name: 'delivery-redeliver',
  text: `
    WITH mail AS (
      UPDATE notifications.delivery SET ${again} WHERE id = $1 AND $2::uuid IS NULL RETURNING 1
    ), delivery AS (
      UPDATE notifications.webhook_delivery SET ${again}, waiting_since = clock_timestamp()
      WHERE id = $1 AND webhook_id = coalesce($2, webhook_id) RETURNING webhook_id
    ), probed AS (
      UPDATE notifications.webhook AS w SET open_until = clock_timestamp()
      FROM delivery WHERE w.id = delivery.webhook_id AND w.open_until > clock_timestamp()
    )
    SELECT 1 FROM mail UNION ALL SELECT 1 FROM delivery`,
};

/** The deliveries in PostgreSQL; their senders look at what is due every second. */
@Injectable()
export class StoredDeliveries extends DeliveryArchive {
  constructor(private readonly database: Database) {
    super();
  }

  async redeliver(id: string, webhookId?: string): Promise<void> {
    await commandTransaction(this.database, async (transaction) => {
      if ((await transaction.query(redeliver, [id, webhookId ?? null])).length === 0) throw new UnknownDelivery(id);
    });
  }
}
