import type { Queryable } from '../../platform/database/database';

/** Deliveries of one kind, written by one subscriber. */
interface Kind {
  readonly subscriber: string;
  readonly table: string;
  /** Which rows `d` of the table they are. */
  readonly are: string;
  /** The events that a row `d` tells of, by `stream` and `version`. */
  readonly events: string;
  /** Deletes, as part of a statement, what goes with the rows `old`. */
  readonly deleteParts?: string;
  /** In which of its states nothing is left to be done but to forget it. */
  readonly sent: readonly string[];
  /** Rows of one statement at most. */
  readonly chunk: number;
}

/** An array, so that they are found through the index whatever the planner thinks of their number. */
const areOld = (id: string): string => `${id} = ANY (ARRAY(SELECT id FROM old))`;

const oneEvent = 'SELECT d.stream, d.version';

const kinds: readonly Kind[] = [
  {
    subscriber: 'webhooks',
    table: 'notifications.webhook_delivery',
    are: 'true',
    events: oneEvent,
    sent: ['delivered'],
    chunk: 1_000,
  },
  {
    subscriber: 'email-buyers-when-stock-is-low',
    table: 'notifications.delivery',
    are: `d.kind = 'stock-low'`,
    events: oneEvent,
    sent: ['sent', 'logged'],
    chunk: 1_000,
  },
  {
    subscriber: 'email-buyers-when-out-of-stock',
    table: 'notifications.delivery',
    are: `d.kind = 'out-of-stock'`,
    events: 'SELECT o.stream, o.version FROM notifications.out_of_stock_event AS o WHERE o.delivery_id = d.id',
    deleteParts: `DELETE FROM notifications.out_of_stock_event WHERE ${areOld('delivery_id')}`,
    sent: ['sent', 'logged'],
    // A digest goes with all of its orders, of which there may be many.
    chunk: 20,
  },
];

/*
 * Kept is what the subscriber may come to again, because it has not left the event behind, or has parked it: it must find
 * that it was written. Those that others are about to change are passed by.
 */
const forget = ({ subscriber, table, are, events, deleteParts }: Kind): string => `
  WITH old AS MATERIALIZED (
    SELECT d.id, d.stream, d.version FROM ${table} AS d
    WHERE ${are} AND d.status = $1 AND d.done_at < now() - make_interval(days => $2)
      AND NOT EXISTS (
        SELECT FROM (${events}) AS told
        LEFT JOIN platform.event AS e ON e.stream = told.stream AND e.version = told.version
        LEFT JOIN platform.subscriber AS s
          ON s.name = '${subscriber}' AND (e.transaction_id, e.position) <= (s.transaction_id, s.position)
        LEFT JOIN platform.parked_event AS p
          ON p.subscriber = s.name AND p.stream = e.stream AND p.version = e.version
        WHERE s.name IS NULL OR p.stream IS NOT NULL
      )
    ORDER BY d.done_at LIMIT $3 FOR UPDATE OF d SKIP LOCKED
  ), places AS MATERIALIZED (
    SELECT e.transaction_id, e.position FROM old AS d CROSS JOIN LATERAL (${events}) AS told
    JOIN platform.event AS e ON e.stream = told.stream AND e.version = told.version
  ), moved AS (
    INSERT INTO notifications.horizon AS h (subscriber, transaction_id, position)
    SELECT '${subscriber}', transaction_id, position FROM places ORDER BY transaction_id DESC, position DESC LIMIT 1
    ON CONFLICT (subscriber) DO UPDATE SET transaction_id = excluded.transaction_id, position = excluded.position
    WHERE (h.transaction_id, h.position) < (excluded.transaction_id, excluded.position)
  ), parts AS (
    ${deleteParts ?? 'SELECT'}
  ), gone AS (
    DELETE FROM ${table} WHERE ${areOld('id')} RETURNING 1
  )
  SELECT count(*)::int AS forgotten FROM gone`;

/** Deliveries of one kind that ended in the same way, and are deleted so many days later. */
export class OldDeliveries {
  private readonly text: string;

  private constructor(
    private readonly kind: Kind,
    private readonly status: string,
    private readonly keptDays: number,
  ) {
    this.text = forget(kind);
  }

  /** All that may be forgotten. @param keptDays what was given up is kept for twice as long */
  static of(keptDays: number): OldDeliveries[] {
    return kinds.flatMap((kind) => [
      ...kind.sent.map((status) => new OldDeliveries(kind, status, keptDays)),
      new OldDeliveries(kind, 'dead', 2 * keptDays),
    ]);
  }

  /**
   * Deletes those that are oldest, a bounded number, and moves the horizon along.
   * @returns how many, and whether there may be more
   */
  async forgetSome(database: Queryable): Promise<{ readonly forgotten: number; readonly more: boolean }> {
    const { chunk } = this.kind;
    const values = [this.status, this.keptDays, chunk];
    const [row] = await database.query<{ forgotten: number }>({ text: this.text }, values);
    const { forgotten } = row!;
    return { forgotten, more: forgotten === chunk };
  }
}
