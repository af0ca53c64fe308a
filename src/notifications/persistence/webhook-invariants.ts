import { QueriedInvariant } from '../../platform/verify/invariant';
import { isKept } from './horizon';

class DeliveriesWereAskedFor extends QueriedInvariant {
  readonly name = 'every webhook delivery has its event, and the webhook asked for it';
  protected readonly query = `
    SELECT format('delivery %s to webhook %s, %s version %s: %s', d.id, d.webhook_id, d.stream, d.version,
                  CASE WHEN e.id IS NULL THEN 'no such event' ELSE 'not asked for' END) AS broken
    FROM notifications.webhook_delivery AS d
    LEFT JOIN platform.event AS e
      ON e.stream = d.stream AND e.version = d.version AND e.id = d.event_id AND e.type = d.type
    WHERE e.id IS NULL
       OR d.webhook_id NOT IN (SELECT notifications.webhooks_asking_for(e.type, e.transaction_id, e.position))`;
}

class NothingAskedForIsMissing extends QueriedInvariant {
  readonly name = 'no webhook misses an event that it asked for, as far as that was dealt with';
  protected readonly query = `
    SELECT format('webhook %s: %s version %s is missing', asking.id, e.stream, e.version) AS broken
    FROM platform.event AS e
    JOIN platform.subscriber AS s
      ON s.name = 'webhooks' AND (e.transaction_id, e.position) <= (s.transaction_id, s.position)
    CROSS JOIN LATERAL notifications.webhooks_asking_for(e.type, e.transaction_id, e.position) AS asking (id)
    LEFT JOIN platform.undelivered_event AS p ON p.subscriber = s.name AND p.stream = e.stream AND p.version = e.version
    LEFT JOIN notifications.webhook_delivery AS d ON d.webhook_id = asking.id AND d.event_id = e.id
    WHERE p.stream IS NULL AND d.id IS NULL AND ${isKept}`;
}

class WebhooksShowWhatTheyAskFor extends QueriedInvariant {
  readonly name = 'a webhook shows what it asked for last';
  protected readonly query = `
    SELECT format('webhook %s shows %s, and asked for %s', w.id, shown.types, coalesce(asked.types, 'nothing yet')) AS broken
    FROM notifications.webhook AS w
    CROSS JOIN LATERAL (
      SELECT coalesce((CASE WHEN w.enabled THEN w.event_types ELSE '{}' END)::text, 'all')
    ) AS shown (types)
    LEFT JOIN LATERAL (
      SELECT coalesce(event_types::text, 'all') FROM notifications.webhook_subscription WHERE webhook_id = w.id
      ORDER BY transaction_id DESC, position DESC, id DESC LIMIT 1
    ) AS asked (types) ON true
    WHERE asked.types IS DISTINCT FROM shown.types`;
}

/** What holds for webhooks; `batchwise verify` checks it. */
export const webhookInvariants = [DeliveriesWereAskedFor, NothingAskedForIsMissing, WebhooksShowWhatTheyAskFor];
