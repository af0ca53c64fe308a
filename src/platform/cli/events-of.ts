import type { Queryable } from '../database/database';
import { readHead, startOfLog } from '../event-log/event-log-reader';
import type { Position } from '../event-log/stored-event';

/** Where the log ends now, for {@link eventsOf}. */
export const endOfLog = async (database: Queryable): Promise<Position> => (await readHead(database)) ?? startOfLog;

/** How many events behind a place in the log a request, or a run of a command, has led to. */
export async function eventsOf(database: Queryable, correlationId: string, after: Position): Promise<number> {
  const [row] = await database.query<{ events: number }>(
    {
      text: `
        SELECT count(*)::float8 AS events FROM platform.event
        WHERE (transaction_id, position) > ($2::xid8, $3::bigint) AND correlation_id = $1`,
    },
    [correlationId, after.transactionId, after.position],
  );
  return row!.events;
}
