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

/** An event that the projection cannot digest keeps the rebuild from replacing the live read model. */
export class RebuildFailed extends Error {}

/**
 * Fills the tables of a projection anew, from the first event on, beside the live ones, and then puts them in their place.
 * The live read model stays readable, and up to date, until the last moment, when the projection stands still for as long as
 * the rest takes.
 * @throws RebuildFailed; the live tables are as they were
 */
export async function rebuild(
  database: Database,
  projection: Projection,
  onProgress: (progress: RebuildProgress) => void = () => undefined,
): Promise<void> {
  const shadow = `${projection.schema}_rebuild_${projection.name.replaceAll('-', '_')}`;
  await database.transaction((transaction) => createShadow(transaction, projection, shadow));
  const delivery = new ProjectionDelivery(projection, shadow);
  const [{ total } = { total: 0 }] = await database.query<{ total: number }>({
    text: 'SELECT count(*)::float8 AS total FROM platform.event',
  });
  let read = 0;
  let at = start;
  const catchUp = async (transaction: Connection): Promise<boolean> => {
    const events = await readAfter(transaction, at, batchSize);
    const wanted = events.filter((event) => delivery.wants(event.type));
    const [failed] = await delivery.project(transaction, wanted);
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
  while (await database.transaction(catchUp));
  await database.transaction(async (transaction) => {
    await lockLive(transaction, projection);
    while (await catchUp(transaction));
    await swap(transaction, projection, shadow, at);
  });
}

async function createShadow(transaction: Connection, { schema, tables }: Projection, shadow: string): Promise<void> {
  await transaction.query({ text: `DROP SCHEMA IF EXISTS ${shadow} CASCADE` });
  await transaction.query({ text: `CREATE SCHEMA ${shadow}` });
  for (const table of tables) {
    await transaction.query({ text: `CREATE TABLE ${shadow}.${table} (LIKE ${schema}.${table} INCLUDING ALL)` });
  }
}

/** Keeps the subscription from going on, and everybody from reading what is about to be replaced. */
async function lockLive(transaction: Connection, { name, schema, tables }: Projection): Promise<void> {
  await transaction.query({ text: 'INSERT INTO platform.subscriber (name) VALUES ($1) ON CONFLICT DO NOTHING' }, [
    name,
  ]);
  await transaction.query({ text: 'SELECT 1 FROM platform.subscriber WHERE name = $1 FOR UPDATE' }, [name]);
  for (const table of tables)
    await transaction.query({ text: `LOCK TABLE ${schema}.${table} IN ACCESS EXCLUSIVE MODE` });
}

async function swap(
  transaction: Connection,
  { name, schema, tables }: Projection,
  shadow: string,
  at: Position,
): Promise<void> {
  for (const table of tables) {
    await transaction.query({ text: `DROP TABLE ${schema}.${table}` });
    await transaction.query({ text: `ALTER TABLE ${shadow}.${table} SET SCHEMA ${schema}` });
  }
  await transaction.query({ text: `DROP SCHEMA ${shadow}` });
  await transaction.query({ text: 'DELETE FROM platform.parked_event WHERE subscriber = $1' }, [name]);
  await transaction.query(
    {
      text: `
        UPDATE platform.subscriber
        SET transaction_id = $2::xid8, position = $3::bigint, owner = NULL, lease_until = '-infinity' WHERE name = $1`,
    },
    [name, at.transactionId, at.position],
  );
}
