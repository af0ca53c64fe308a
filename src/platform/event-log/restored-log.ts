import type { Queryable } from '../database/database';

/*
 * Transaction ids belong to a server. In a log that was restored from a dump they may lie ahead of those that the new server
 * gives, and then what is new would sort before what is old.
 */
const isRestored = {
  text: `
    SELECT coalesce(max(transaction_id) >= pg_snapshot_xmax(pg_current_snapshot()), false) AS restored
    FROM platform.event`,
};

const renumber = [
  'LOCK TABLE platform.event, platform.subscriber IN EXCLUSIVE MODE',
  `UPDATE platform.subscriber AS s SET transaction_id = '0', position = (
     SELECT count(*) FROM platform.event AS e WHERE (e.transaction_id, e.position) <= (s.transaction_id, s.position))`,
  `UPDATE platform.event AS e SET transaction_id = '0', position = ranked.place
   FROM (SELECT stream, version, row_number() OVER (ORDER BY transaction_id, position) AS place FROM platform.event) AS ranked
   WHERE e.stream = ranked.stream AND e.version = ranked.version`,
  `SELECT setval(pg_get_serial_sequence('platform.event', 'position'), (SELECT count(*) FROM platform.event))`,
];

/** Whether the log came from another server, and was not renumbered yet. */
export async function isRestoredLog(database: Queryable): Promise<boolean> {
  const [row] = await database.query<{ restored: boolean }>(isRestored);
  return row!.restored;
}

/**
 * Gives a restored log places that fit this server, in the same order: the old rows get transaction id 0 and are numbered
 * through; checkpoints keep pointing behind the same events.
 * @param transaction nothing may be written to the log before it ends
 */
export async function renumberRestoredLog(transaction: Queryable): Promise<void> {
  for (const text of renumber) await transaction.query({ text });
}
