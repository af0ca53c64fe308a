import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import { Publisher } from '../../platform/event-log/subscriber';
import { WebhookSender } from './webhook-sender';

const write = {
  name: 'webhook-deliveries-write',
  text: `
    INSERT INTO notifications.webhook_delivery (webhook_id, event_id, stream, version, type)
    SELECT asking.id, e.id, e.stream, e.version, e.type
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::xid8[], $6::bigint[])
      AS e (id, stream, version, type, transaction_id, position)
    CROSS JOIN LATERAL notifications.webhooks_asking_for(e.type, e.transaction_id, e.position) AS asking (id)
    ON CONFLICT DO NOTHING RETURNING 1`,
};

/** Writes what is to be sent to webhooks: each event once for every webhook that had asked for it when it happened. */
@Injectable()
export class WebhooksPublisher extends Publisher {
  readonly name = 'webhooks';

  constructor(
    private readonly database: Database,
    private readonly sender: WebhookSender,
  ) {
    super();
  }

  async publish(events: readonly StoredEvent[]): Promise<void> {
    const written = await this.database.query(write, [
      events.map(({ id }) => id),
      events.map(({ stream }) => stream),
      events.map(({ version }) => version),
      events.map(({ type }) => type),
      events.map(({ transactionId }) => transactionId),
      events.map(({ position }) => position),
    ]);
    if (written.length > 0) this.sender.announce();
  }
}
