import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { instantOf } from '../../platform/database/instants';
import {
  type Delivery,
  ListDeliveries,
  ListWebhookDeliveries,
  type WebhookDelivery,
  type WebhookDeliveryPage,
} from '../contract/queries';
import { UnknownWebhook } from '../domain/errors';

const webhookExists = { name: 'webhook-exists', text: 'SELECT 1 FROM notifications.webhook WHERE id = $1' };

const latestOfWebhook = {
  name: 'webhook-deliveries-latest',
  text: `
    SELECT id, event_id AS "eventId", type, stream, version::float8 AS version, status, attempts,
           response_status AS "responseStatus", last_error AS error, ${instantOf('created_at')} AS "createdAt",
           CASE WHEN status = 'pending' THEN ${instantOf('next_attempt_at')} END AS "nextAttemptAt",
           ${instantOf('done_at')} AS "doneAt"
    FROM notifications.webhook_delivery
    WHERE webhook_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3)
    ORDER BY id DESC LIMIT $4`,
};

const ofStatus = {
  name: 'deliveries-of-status',
  text: `
    SELECT id, 'mail' AS channel, recipient AS to, kind || ' ' || sku AS about, status, attempts, last_error AS error,
           ${instantOf('created_at')} AS "createdAt"
    FROM notifications.delivery WHERE status = $1 AND ($2::uuid IS NULL OR id > $2)
    UNION ALL
    SELECT d.id, 'webhook', w.url, d.stream || ' version ' || d.version, d.status, d.attempts, d.last_error,
           ${instantOf('d.created_at')}
    FROM notifications.webhook_delivery AS d JOIN notifications.webhook AS w ON w.id = d.webhook_id
    WHERE d.status = $1 AND ($2::uuid IS NULL OR d.id > $2)
    ORDER BY id LIMIT $3`,
};

@QueryHandler(ListWebhookDeliveries)
export class ListWebhookDeliveriesHandler implements IQueryHandler<ListWebhookDeliveries> {
  constructor(private readonly database: Database) {}

  async execute({ webhookId, limit, status, after }: ListWebhookDeliveries): Promise<WebhookDeliveryPage> {
    if ((await this.database.query(webhookExists, [webhookId])).length === 0) throw new UnknownWebhook(webhookId);
    const values = [webhookId, status ?? null, after ?? null, limit + 1];
    const rows = await this.database.query<WebhookDelivery>(latestOfWebhook, values);
    const deliveries = rows.slice(0, limit);
    return { deliveries, next: rows.length > limit ? deliveries.at(-1)!.id : null };
  }
}

@QueryHandler(ListDeliveries)
export class ListDeliveriesHandler implements IQueryHandler<ListDeliveries> {
  constructor(private readonly database: Database) {}

  execute({ status, limit, after }: ListDeliveries): Promise<Delivery[]> {
    return this.database.query<Delivery>(ofStatus, [status, after ?? null, limit]);
  }
}
