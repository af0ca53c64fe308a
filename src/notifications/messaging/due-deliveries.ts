import type { Queryable } from '../../platform/database/database';
import { claimed, closed, isDue, postponed } from './delivery-statements';
import type { Mail } from './mailer';
import { mailRetries, pauseAfter } from './retry';

/** A mail that is to be sent now, by whoever claimed it. */
export interface DueDelivery extends Mail {
  readonly id: string;
  /** How often it was tried, this time included. */
  readonly attempts: number;
}

/** Each only when the one before it about its SKU was done for long enough. */
const claim = {
  name: 'delivery-claim',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM notifications.delivery AS d
      WHERE ${isDue}
        AND coalesce((
          SELECT done_at IS NOT NULL AND done_at <= now() - d.spacing FROM notifications.delivery AS before
          WHERE before.kind = d.kind AND before.sku = d.sku AND before.position < d.position
          ORDER BY before.position DESC LIMIT 1
        ), true)
      ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    UPDATE notifications.delivery AS d
    SET ${claimed}
    FROM due WHERE d.id = due.id
    RETURNING d.id, attempts, message_id AS "messageId", sender, recipient, subject, body, stream,
              version::float8 AS version`,
};

const close = {
  name: 'delivery-close',
  text: `UPDATE notifications.delivery SET ${closed} WHERE id = $1 AND status = 'pending' RETURNING 1`,
};

/** The last attempt is made when the day ends. */
const postpone = {
  name: 'delivery-postpone',
  text: `
    UPDATE notifications.delivery SET ${postponed} WHERE id = $1 AND attempts = $2 AND status = 'pending'
    RETURNING status = 'dead' AS dead`,
};

/** The deliveries that wait to be sent, by the database's clock. */
export const DueDeliveries = {
  /** Takes some of them, for so many seconds: afterwards they are anybody's again. */
  claim: (database: Queryable, limit: number, seconds: number): Promise<DueDelivery[]> =>
    database.query<DueDelivery>(claim, [limit, seconds]),

  /**
   * It will not be tried again.
   * @returns false if somebody else came first
   */
  close: async (
    database: Queryable,
    { id }: DueDelivery,
    as: 'sent' | 'logged' | 'dead',
    reason: string | null = null,
  ): Promise<boolean> => (await database.query(close, [id, as, reason])).length > 0,

  /**
   * It will be tried again, later, unless its day is over, or somebody else has it by now.
   * @returns whether this was the last attempt
   */
  postpone: async (database: Queryable, { id, attempts }: DueDelivery, reason: string): Promise<boolean> => {
    const values = [id, attempts, reason, pauseAfter(mailRetries, attempts), mailRetries.giveUpAfter];
    const [row] = await database.query<{ dead: boolean }>(postpone, values);
    return row?.dead ?? false;
  },
};
