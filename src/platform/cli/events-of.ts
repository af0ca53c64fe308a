import type { Queryable } from '../database/database';

/** How many events a request, or a run of a command, has led to. Reads the whole log. */
export async function eventsOf(database: Queryable, correlationId: string): Promise<number> {
  const [row] = await database.query<{ events: number }>(
    { text: 'SELECT count(*)::float8 AS events FROM platform.event WHERE correlation_id = $1' },
    [correlationId],
  );
  return row!.events;
}
