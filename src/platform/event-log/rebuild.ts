import type { Connection, Database } from '../database/database';
import { readAfter } from './event-log-reader';
import { ProjectionDelivery } from './projection-delivery';
import type { Position } from './stored-event';
import type { Projection } from './subscriber';

const batchSize = 2_000;
const start: Position = { transactionId: '0', position: '0' };

/** How far a rebuild has come. */
export interface RebuildProgress {
  /** Events read so far, and about how many there are. */
  readonly events: number;
  readonly total: number;
}

/** Something keeps the rebuild from replacing the live read model: an event that the projection cannot digest, usually. */
export class RebuildFailed extends Error {}

/**
 * Fills the tables of a projection anew, from the first event on, beside the live ones, and then puts them in their place.
 * The live read model stays readable, and up to date, until the last moment, when the projection stands still for as long as
 * the rest takes. Of several rebuilds of a projection the first one goes on; one that died halfway can simply be begun again.
 * @throws RebuildFailed; the live tables are as they were
 */
export async function rebuild(
  database: Database,
  projection: Projection,
  onProgress: (progress: RebuildProgress) => void = () => undefined,
): Promise<void> {
  const shadow = shadowOf(projection, 'rebuild');
  // One session for all of it: with it ends the lock, and nobody can write to the shadow of another rebuild.
  const connection = await database.connect();
  try {
    await beTheOnlyOne(connection, projection);
    try {
      await fillAndSwap(connection, projection, shadow, onProgress);
      await letRebuildsIn(connection, projection);
    } catch (error) {
      await dropShadow(connection, shadow).catch(() => undefined);
      throw error;
    }
  } finally {
    connection.destroy();
  }
}

async function beTheOnlyOne(connection: Connection, projection: Projection): Promise<void> {
  const lock = { text: 'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS had' };
  const [{ had } = { had: false }] = await connection.query<{ had: boolean }>(lock, [shadowOf(projection, 'rebuild')]);
  if (!had) throw new RebuildFailed('another rebuild of this projection is under way, or batchwise verify');
}

/** Waits for a rebuild that is under way. From then on there is none, until they are let in or the session ends. */
export async function keepRebuildsOut(connection: Connection, projection: Projection): Promise<void> {
  const lock = { text: 'SELECT pg_advisory_lock(hashtextextended($1, 0))' };
  await connection.query(lock, [shadowOf(projection, 'rebuild')]);
}

/** At once, and not only when the server has noticed that the session has ended. */
export async function letRebuildsIn(connection: Connection, projection: Projection): Promise<void> {
  const unlock = { text: 'SELECT pg_advisory_unlock(hashtextextended($1, 0))' };
  await connection.query(unlock, [shadowOf(projection, 'rebuild')]);
}

/** The schema in which tables of a projection are filled beside the live ones. */
export const shadowOf = ({ schema, name }: Projection, purpose: string): string =>
  `${schema}_${purpose}_${name.replaceAll(/\W/g, '_')}`;

async function fillAndSwap(
  connection: Connection,
  projection: Projection,
  shadow: string,
  onProgress: (progress: RebuildProgress) => void,
): Promise<void> {
  const delivery = new ProjectionDelivery(projection, shadow);
  const [{ total } = { total: 0 }] = await connection.query<{ total: number }>({
    text: `SELECT greatest(reltuples, 0)::float8 AS total FROM pg_class WHERE oid = 'platform.event'::regclass`,
  });
  const discarded = await connection.query<{ stream: string; version: number }>(
    { text: 'SELECT stream, version::float8 AS version FROM platform.discarded_event WHERE subscriber = $1' },
    [projection.name],
  );
  const givenUp = new Set(discarded.map(({ stream, version }) => `${version} ${stream}`));
  let read = 0;
  let at = start;
  const catchUp = async (): Promise<boolean> => {
    const events = await readAfter(connection, at, batchSize);
    const wanted = events.filter(
      (event) => delivery.wants(event.type) && !givenUp.has(`${event.version} ${event.stream}`),
    );
    const [failed] = await delivery.project(connection, wanted);
    if (failed) {
      const { stream, version } = failed.event;
      throw new RebuildFailed(
        `${projection.name} cannot project ${stream} version ${version}: ${String(failed.error)}`,
      );
    }
    at = events.at(-1) ?? at;
    read += events.length;
    onProgress({ events: read, total: Math.max(total, read) });
    return events.length === batchSize;
  };
  await inTransaction(connection, async () => {
    await createShadow(connection, projection, shadow);
    await connection.query({ text: 'INSERT INTO platform.subscriber (name) VALUES ($1) ON CONFLICT DO NOTHING' }, [
      projection.name,
    ]);
  });
  while (await inTransaction(connection, catchUp));
  await inTransaction(connection, async () => {
    await holdSubscription(connection, projection);
    while (await catchUp());
    await swap(connection, projection, shadow, at);
  });
}

/** Runs work on a connection of one's own, in a transaction that is committed if it returns. */
export async function inTransaction<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  await connection.query({ text: 'BEGIN ISOLATION LEVEL READ COMMITTED' });
  const result = await work();
  await connection.query({ text: 'COMMIT' });
  return result;
}

/** Ends the transaction, if there is one, and leaves nothing of the shadow. */
export async function dropShadow(connection: Connection, shadow: string): Promise<void> {
  await connection.query({ text: 'ROLLBACK' });
  await connection.query({ text: `DROP SCHEMA IF EXISTS ${shadow} CASCADE` });
}

/** Keys and indexes of a table with the names that they have, by which migrations know them; LIKE would give others. */
const keysAndIndexes = {
  text: `
    SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $3::text, $2::text, conname, pg_get_constraintdef(oid)) AS ddl
    FROM pg_constraint WHERE conrelid = format('%I.%I', $1::text, $2::text)::regclass AND contype IN ('p', 'u', 'x')
    UNION ALL
    SELECT replace(pg_get_indexdef(indexrelid), format(' ON %I.%I ', $1, $2), format(' ON %I.%I ', $3, $2))
    FROM pg_index WHERE indrelid = format('%I.%I', $1, $2)::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))`,
};

/** Makes empty tables of the same shape, in a schema of their own. */
export async function createShadow(connection: Connection, { schema, tables }: Projection, shadow: string) {
  await connection.query({ text: `DROP SCHEMA IF EXISTS ${shadow} CASCADE` });
  await connection.query({ text: `CREATE SCHEMA ${shadow}` });
  for (const table of tables) {
    const like = `LIKE ${schema}.${table} INCLUDING ALL EXCLUDING INDEXES`;
    await connection.query({ text: `CREATE TABLE ${shadow}.${table} (${like})` });
    const statements = await connection.query<{ ddl: string }>(keysAndIndexes, [schema, table, shadow]);
    for (const { ddl } of statements) await connection.query({ text: ddl });
  }
}

/**
 * Keeps the subscription from going on. First in its transaction, which gets its id only now: so it sees every event that the
 * subscription saw, and the read model does not go back in time.
 */
async function holdSubscription(connection: Connection, { name }: Projection): Promise<void> {
  await connection.query({ text: 'SELECT 1 FROM platform.subscriber WHERE name = $1 FOR UPDATE' }, [name]);
}

/** The first statement waits for the readers of the live tables; others wait from then on. */
async function swap(connection: Connection, { name, schema, tables }: Projection, shadow: string, at: Position) {
  await connection.query({ text: `DROP TABLE ${tables.map((table) => `${schema}.${table}`).join(', ')}` });
  for (const table of tables) await connection.query({ text: `ALTER TABLE ${shadow}.${table} SET SCHEMA ${schema}` });
  await connection.query({ text: `DROP SCHEMA ${shadow}` });
  await connection.query({ text: 'DELETE FROM platform.parked_event WHERE subscriber = $1' }, [name]);
  const move = `
    UPDATE platform.subscriber
    SET transaction_id = $2::xid8, position = $3::bigint, owner = NULL, lease_until = '-infinity' WHERE name = $1`;
  await connection.query({ text: move }, [name, at.transactionId, at.position]);
}
