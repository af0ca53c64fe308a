import { Injectable } from '@nestjs/common';
import { type Connection, Database } from '../../platform/database/database';
import { instantOf } from '../../platform/database/instants';
import { commandTransaction } from '../../platform/unit-of-work/command-transaction';
import type { RegisterWebhook, WebhookChange, WebhookWithSecret } from '../contract/commands';
import type { EventTypes, Webhook } from '../contract/queries';
import { UnknownWebhook } from '../domain/errors';
import { WebhookRegistry } from '../domain/webhook-registry';

/** What is shown of a row of `notifications.webhook`. */
export const webhookColumns = `
  id, url, description, coalesce(to_jsonb(event_types), '"all"') AS "eventTypes", enabled,
  disabled_because AS "disabledBecause",
  CASE WHEN open_until IS NULL THEN 'closed' WHEN open_until > clock_timestamp() THEN 'open' ELSE 'half-open' END AS circuit,
  ${instantOf('created_at')} AS "createdAt"`;

const digestOf = (secret: string): string => `encode(sha256(convert_to(${secret}, 'UTF8')), 'hex')`;

/** What a command returns that makes a secret. */
const columnsWithSecret = `${webhookColumns}, secret, ${digestOf('secret')} AS digest`;

const add = {
  name: 'webhook-add',
  text: `
    WITH added AS (
      INSERT INTO notifications.webhook (url, event_types, description) VALUES ($1, $2, $3) RETURNING *
    ), asked AS (
      INSERT INTO notifications.webhook_subscription (webhook_id, event_types) SELECT id, event_types FROM added
    )
    SELECT ${columnsWithSecret} FROM added`,
};

/** Before the transaction has an id, so that of two changes the later one has the higher id. */
const lock = {
  name: 'webhook-lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('notifications.webhook:' || $1, 0))`,
};

/** Whoever enables it says that it works again. */
const change = {
  name: 'webhook-change',
  text: `
    WITH changed AS (
      UPDATE notifications.webhook
      SET event_types = CASE WHEN $2 THEN $3::text[] ELSE event_types END, description = coalesce($4, description),
          enabled = coalesce($5, enabled),
          disabled_because = CASE WHEN $5 IS NULL THEN disabled_because WHEN NOT $5 THEN $6 END,
          failures = CASE WHEN $5 THEN 0 ELSE failures END,
          failing_since = CASE WHEN $5 THEN NULL ELSE failing_since END,
          open_until = CASE WHEN $5 THEN NULL ELSE open_until END
      WHERE id = $1 RETURNING *
    ), asked AS (
      INSERT INTO notifications.webhook_subscription (webhook_id, event_types)
      SELECT id, CASE WHEN enabled THEN event_types ELSE '{}' END FROM changed
    )
    SELECT ${webhookColumns} FROM changed`,
};

const remove = { name: 'webhook-remove', text: 'DELETE FROM notifications.webhook WHERE id = $1 RETURNING 1' };

const rotate = {
  name: 'webhook-rotate',
  text: `
    UPDATE notifications.webhook
    SET old_secret = secret, old_secret_until = clock_timestamp() + interval '24 hours', secret = notifications.webhook_secret()
    WHERE id = $1 RETURNING ${columnsWithSecret}`,
};

/** Of those that sign. */
const findSecret = {
  name: 'webhook-find-secret',
  text: `
    SELECT one.secret FROM notifications.webhook AS w
    CROSS JOIN LATERAL (
      VALUES (w.secret), (CASE WHEN w.old_secret_until > clock_timestamp() THEN w.old_secret END)
    ) AS one (secret)
    WHERE w.id = $1 AND ${digestOf('one.secret')} = $2`,
};

interface WebhookRow extends Webhook {
  readonly secret: string;
  readonly digest: string;
}

const stored = (eventTypes: EventTypes | undefined): readonly string[] | null =>
  eventTypes === undefined || eventTypes === 'all' ? null : eventTypes;

/** The webhooks in PostgreSQL. Secrets are stored as they are: what signs must know them. */
@Injectable()
export class StoredWebhooks extends WebhookRegistry {
  constructor(private readonly database: Database) {
    super();
  }

  async add({ url, eventTypes, description }: RegisterWebhook): Promise<WebhookWithSecret> {
    const values = [url, stored(eventTypes), description];
    return this.makeSecret(async (transaction) => (await transaction.query<WebhookRow>(add, values))[0]!);
  }

  async change(id: string, { eventTypes, description, enabled, because }: WebhookChange): Promise<Webhook> {
    const types = [eventTypes !== undefined, stored(eventTypes)];
    const values = [id, ...types, description ?? null, enabled ?? null, because ?? null];
    return commandTransaction(this.database, async (transaction) => {
      await transaction.query(lock, [id]);
      const [row] = await transaction.query<Webhook>(change, values);
      if (!row) throw new UnknownWebhook(id);
      return row;
    });
  }

  async remove(id: string): Promise<void> {
    await commandTransaction(this.database, async (transaction) => {
      if ((await transaction.query(remove, [id])).length === 0) throw new UnknownWebhook(id);
    });
  }

  async rotateSecret(id: string): Promise<WebhookWithSecret> {
    return this.makeSecret(async (transaction) => {
      const [row] = await transaction.query<WebhookRow>(rotate, [id]);
      if (!row) throw new UnknownWebhook(id);
      return row;
    });
  }

  /** Under an idempotency key only the digest is kept: whoever repeats the request is told the secret as long as it signs. */
  private async makeSecret(work: (transaction: Connection) => Promise<WebhookRow>): Promise<WebhookWithSecret> {
    let made: string | undefined;
    const { webhook, digest } = await commandTransaction(this.database, async (transaction) => {
      const { secret, digest, ...webhook } = await work(transaction);
      made = secret;
      return { webhook, digest };
    });
    if (made !== undefined) return { webhook, secret: made };
    const [found] = await this.database.query<{ secret: string }>(findSecret, [webhook.id, digest]);
    return { webhook, secret: found?.secret ?? null };
  }
}
