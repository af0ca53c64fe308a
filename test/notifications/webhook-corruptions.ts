import type { Corruptions } from '../support/corruptions';

/** They need two webhooks that asked for all and for some, and deliveries to both. */
export const webhookCorruptions: Corruptions = {
  'every webhook delivery has its event, and the webhook asked for it': {
    'a delivery tells of nothing that happened': `UPDATE notifications.webhook_delivery SET version = 999`,
    'a delivery tells of another event': `UPDATE notifications.webhook_delivery SET event_id = gen_random_uuid()`,
    'a delivery shows another type': `UPDATE notifications.webhook_delivery SET type = 'test.other.v1'`,
    'a delivery tells of what happened before the registration': `
      INSERT INTO notifications.webhook_delivery (webhook_id, event_id, stream, version, type)
      SELECT w.id, e.id, e.stream, e.version, e.type
      FROM notifications.webhook AS w, platform.event AS e WHERE e.stream = 'product:EARLY' LIMIT 1`,
    'a webhook did not ask for what it is told': `
      UPDATE notifications.webhook_subscription SET event_types = '{allocation.allocated.v1}'`,
  },
  'no webhook misses an event that it asked for, as far as that was dealt with': {
    'a delivery is gone': `
      DELETE FROM notifications.webhook_delivery
      WHERE id = (SELECT id FROM notifications.webhook_delivery ORDER BY id LIMIT 1)`,
    'a webhook asked for more': `UPDATE notifications.webhook_subscription SET event_types = NULL`,
  },
  'a webhook shows what it asked for last': {
    'a webhook shows other types': `UPDATE notifications.webhook SET event_types = '{allocation.allocated.v1}'`,
    'a disabled webhook is told of events': `UPDATE notifications.webhook SET enabled = false`,
    'a webhook never asked for anything': `DELETE FROM notifications.webhook_subscription`,
  },
};
