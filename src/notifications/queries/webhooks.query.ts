import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { GetWebhook, ListWebhooks, type Webhook, type WebhookPage } from '../contract/queries';
import { UnknownWebhook } from '../domain/errors';
import { webhookColumns } from '../persistence/stored-webhooks';

const byId = {
  name: 'webhook-by-id',
  text: `SELECT ${webhookColumns} FROM notifications.webhook WHERE id = $1`,
};

const after = {
  name: 'webhooks-after',
  text: `
    SELECT ${webhookColumns} FROM notifications.webhook WHERE $1::uuid IS NULL OR id > $1
    ORDER BY id LIMIT $2`,
};

@QueryHandler(GetWebhook)
export class GetWebhookHandler implements IQueryHandler<GetWebhook> {
  constructor(private readonly database: Database) {}

  async execute({ id }: GetWebhook): Promise<Webhook> {
    const [webhook] = await this.database.query<Webhook>(byId, [id]);
    if (!webhook) throw new UnknownWebhook(id);
    return webhook;
  }
}

@QueryHandler(ListWebhooks)
export class ListWebhooksHandler implements IQueryHandler<ListWebhooks> {
  constructor(private readonly database: Database) {}

  async execute(query: ListWebhooks): Promise<WebhookPage> {
    const rows = await this.database.query<Webhook>(after, [query.after ?? null, query.limit + 1]);
    const webhooks = rows.slice(0, query.limit);
    return { webhooks, next: rows.length > query.limit ? webhooks.at(-1)!.id : null };
  }
}
