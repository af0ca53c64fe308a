import type { Queryable } from '../database/database';

/*
 * Transaction ids belong to a server. In a log that was restored from a dump they may lie ahead of those that the new server
 * gives, and then what is new would sort before what is old.
 */
const isRestored = (places: readonly string[]) => ({
  text: `
    SELECT coalesce(greatest(${['platform.event', ...places]
      .map((table) => `(SELECT max(transaction_id) FROM ${table})`)
      .join(', ')}) >= pg_snapshot_xmax(pg_current_snapshot()), false) AS restored`,
});

const subscribers = 'platform.subscriber';

const lock = (tables: readonly string[]): string => `LOCK TABLE platform.event, ${tables.join(', ')} IN EXCLUSIVE MODE`;

const keepPointing = (table: string): string =>
  `UPDATE ${table} AS s SET transaction_id = '0', position = (
     SELECT count(*) FROM platform.event AS e WHERE (e.transaction_id, e.position) <= (s.transaction_id, s.position))`;

const renumber = [
  `UPDATE platform.event AS e SET transaction_id = '0', position = ranked.place
   FROM (SELECT stream, version, row_number() OVER (ORDER BY transaction_id, position) AS place FROM platform.event) AS ranked
   WHERE e.stream = ranked.stream AND e.version = ranked.version`,
  `SELECT setval(pg_get_serial_sequence('platform.event', 'position'), (SELECT count(*) FROM platform.event))`,
];

/**
 * Whether the log came from another server, and was not renumbered yet.
 * @param places tables of modules with places in the log: `transaction_id` and `position`
 */
export async function isRestoredLog(database: Queryable, places: readonly string[] = []): Promise<boolean> {
  const [row] = await database.query<{ restored: boolean }>(isRestored(places));
  return row!.restored;
}

/**
 * Gives a restored log places that fit this server, in the same order: the old rows get transaction id 0 and are numbered
 * through; checkpoints, and whatever else remembers a place, keep pointing behind the same events.
 * @param transaction nothing may be written to the log before it ends
 * @param places as above
 */
export async function renumberRestoredLog(transaction: Queryable, places: readonly string[] = []): Promise<void> {
  const pointing = [subscribers, ...places];
  for (const text of [lock(pointing), ...pointing.map(keepPointing), ...renumber]) await transaction.query({ text });
}
