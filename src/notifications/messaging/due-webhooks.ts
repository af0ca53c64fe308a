import type { Queryable } from '../../platform/database/database';
import { claimed, closed, isDue, postponed } from './delivery-statements';
import { pauseAfter, webhookRetries } from './retry';

/** An event that is to be told to a webhook now, by whoever claimed it. */
export interface DueWebhook {
  readonly id: string;
  readonly webhookId: string;
  readonly url: string;
  /** Those that sign now, the newest first. */
  readonly secrets: readonly string[];
  readonly eventId: string;
  readonly stream: string;
  readonly version: number;
  /** How often it was tried, this time included. */
  readonly attempts: number;
  /** When it was claimed, by the database's clock, in seconds since 1970. */
  readonly claimedAt: number;
}

/**
 * To one endpoint at the same time, over all replicas: one that hangs must not keep the others waiting. Replicas that claim in
 * the same instant do not see each other, and may together exceed it.
 */
const atOncePerWebhook = 4;

/** When an endpoint is left alone: after so many failures in a row, for so many seconds, twice as long after each further one. */
export const circuit = { failures: 5, first: 30, longest: 15 * 60 };

const claim = {
  name: 'webhook-delivery-claim',
  text: `
    WITH due AS MATERIALIZED (
      SELECT next.id FROM notifications.webhook AS w
      CROSS JOIN LATERAL (
        SELECT count(*) AS deliveries FROM notifications.webhook_delivery
        WHERE webhook_id = w.id AND status = 'pending' AND claimed_until > now()
      ) AS under_way
      CROSS JOIN LATERAL (
        SELECT id, next_attempt_at FROM notifications.webhook_delivery
        WHERE webhook_id = w.id AND ${isDue} ORDER BY next_attempt_at
        LIMIT greatest(0, CASE WHEN w.open_until IS NULL THEN $3::bigint ELSE 1 END - under_way.deliveries)
        FOR UPDATE SKIP LOCKED
      ) AS next
      WHERE w.enabled AND (w.open_until IS NULL OR w.open_until <= now())
      ORDER BY next.next_attempt_at LIMIT $1
    )
    UPDATE notifications.webhook_delivery AS d
    SET ${claimed}
    FROM due, notifications.webhook AS w WHERE d.id = due.id AND w.id = d.webhook_id
    RETURNING d.id, w.id AS "webhookId", w.url,
              array_remove(ARRAY[w.secret, CASE WHEN w.old_secret_until > now() THEN w.old_secret END], NULL) AS secrets,
              d.event_id AS "eventId", d.stream, d.version::float8 AS version, d.attempts,
              extract(epoch FROM clock_timestamp())::int AS "claimedAt"`,
};

/** What is accepted closes the circuit. */
const close = {
  name: 'webhook-delivery-close',
  text: `
    WITH done AS (
      UPDATE notifications.webhook_delivery SET ${closed}, response_status = $4 WHERE id = $1 AND status = 'pending'
      RETURNING webhook_id, status
    ), healthy AS (
      UPDATE notifications.webhook AS w SET failures = 0, failing_since = NULL, open_until = NULL
      FROM done WHERE w.id = done.webhook_id AND done.status = 'delivered' AND w.failures > 0
    )
    SELECT 1 FROM done`,
};

/** What was under way when the circuit opened does not keep it open for longer. */
const postpone = {
  name: 'webhook-delivery-postpone',
  text: `
    WITH failed AS (
      UPDATE notifications.webhook_delivery SET ${postponed}, response_status = $6
      WHERE id = $1 AND attempts = $2 AND status = 'pending' RETURNING webhook_id, status = 'dead' AS dead
    ), endpoint AS (
      UPDATE notifications.webhook AS w
      SET failures = CASE WHEN open_until > clock_timestamp() THEN failures ELSE failures + 1 END,
          failing_since = coalesce(failing_since, clock_timestamp()),
          open_until = CASE
            WHEN open_until > clock_timestamp() THEN open_until
            WHEN failures + 1 >= $7 THEN clock_timestamp() + make_interval(
              secs => least($9::float8, $8::float8 * 2 ^ least(failures + 1 - $7, 20))) END
      FROM failed WHERE w.id = failed.webhook_id
      RETURNING failing_since < clock_timestamp() - make_interval(secs => $5) AS down
    )
    SELECT dead, down FROM failed, endpoint`,
};

/** Those that waited behind an open circuit as long as others are tried. */
const giveUpWaiting = {
  name: 'webhook-delivery-give-up',
  text: `
    UPDATE notifications.webhook_delivery
    SET status = 'dead', last_error = coalesce(last_error, 'the endpoint accepted nothing since then'), done_at = clock_timestamp(),
        claimed_until = NULL
    WHERE webhook_id = $1 AND status = 'pending'
      AND coalesce(first_attempt_at, waiting_since) < clock_timestamp() - make_interval(secs => $2)
      AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())`,
};

/** The webhook deliveries that wait to be sent, by the database's clock. */
export const DueWebhooks = {
  /** Takes some of them, for so many seconds: afterwards they are anybody's again. */
  claim: (database: Queryable, limit: number, seconds: number): Promise<DueWebhook[]> =>
    database.query<DueWebhook>(claim, [limit, seconds, atOncePerWebhook]),

  /**
   * It will not be tried again.
   * @param status of the answer
   * @returns false if somebody else came first
   */
  close: async (
    database: Queryable,
    { id }: DueWebhook,
    as: 'delivered' | 'dead',
    status: number,
    reason: string | null = null,
  ): Promise<boolean> => (await database.query(close, [id, as, reason, status])).length > 0,

  /**
   * It will be tried again, later, unless its three days are over, or somebody else has it by now.
   * @param status of the answer; null: there was none
   * @returns whether this was the last attempt
   */
  postpone: async (
    database: Queryable,
    { id, attempts, webhookId }: DueWebhook,
    status: number | null,
    reason: string,
  ): Promise<boolean> => {
    const { giveUpAfter } = webhookRetries;
    const again = [reason, pauseAfter(webhookRetries, attempts), giveUpAfter];
    const { failures, first, longest } = circuit;
    const values = [id, attempts, ...again, status, failures, first, longest];
    const [row] = await database.query<{ dead: boolean; down: boolean }>(postpone, values);
    if (row?.down) await database.query(giveUpWaiting, [webhookId, giveUpAfter]);
    return row?.dead ?? false;
  },
};
