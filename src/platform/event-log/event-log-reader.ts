import type { Queryable } from '../database/database';
import { exactInstantOf } from '../database/instants';
import type { Position, StoredEvent } from './stored-event';

/** Before the first event. */
export const startOfLog: Position = { transactionId: '0', position: '0' };

const columns = `
  transaction_id::text AS "transactionId", position::text AS position, id, stream, version::int8::float8 AS version, type,
  data, ${exactInstantOf('occurred_at')} AS "occurredAt", actor,
  correlation_id AS "correlationId", causation_id AS "causationId"`;

/*
 * Only what no transaction can come before any more: those that may still commit have an id of xmin or above. A cursor on
 * the position alone would pass them by. (What is sorted by is named with its table: the bare name is that of the text.)
 */
const eventsAfter = {
  name: 'event-log-after',
  text: `
    SELECT ${columns} FROM platform.event AS e
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
      AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.transaction_id, e.position LIMIT $3`,
};

const headOfLog = {
  name: 'event-log-head',
  text: `
    SELECT transaction_id::text AS "transactionId", position::text AS position FROM platform.event AS e
    ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1`,
};

const lastOfLog = {
  name: 'event-log-last',
  text: `
    SELECT ${columns} FROM platform.event AS e WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1`,
};

/** Events that are looked at for a page of some types. */
const lookedAt = 5_000;

/* The last one that was looked at comes along, of whatever type it is: the next page begins behind it. */
const eventsOfTypesAfter = {
  name: 'event-log-of-types-after',
  text: `
    WITH looked_at AS (
      SELECT * FROM platform.event AS e
      WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
        AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      ORDER BY e.transaction_id, e.position LIMIT ${lookedAt}
    )
    SELECT ${columns} FROM looked_at AS e
    WHERE type = ANY ($4::text[]) OR (transaction_id, position) = (
      SELECT last.transaction_id, last.position FROM looked_at AS last
      ORDER BY last.transaction_id DESC, last.position DESC LIMIT 1
    )
    ORDER BY e.transaction_id, e.position LIMIT $3`,
};

const firstOfOtherStreams = {
  name: 'event-log-first-of-others',
  text: `
    SELECT ${columns} FROM platform.event AS e
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
      AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      AND stream <> ALL ($3::text[]) AND type = ANY (coalesce($4::text[], ARRAY[type]))
    ORDER BY e.transaction_id, e.position LIMIT 1`,
};

const eventByVersion = {
  name: 'event-log-by-version',
  text: `SELECT ${columns} FROM platform.event WHERE stream = $1 AND version = $2`,
};

const eventsByVersions = {
  name: 'event-log-by-versions',
  text: `
    SELECT ${columns} FROM platform.event
    JOIN unnest($1::text[], $2::bigint[]) AS wanted (stream, version) USING (stream, version)`,
};

/*
 * The limit comes before the instant, so that what came later is read for one chunk at most. In a stream the instants never
 * go back, and versions are committed in their order: no snapshot is needed to see each once.
 */
const eventsOfStream = {
  name: 'event-log-of-stream',
  text: `
    SELECT ${columns} FROM (
      SELECT * FROM platform.event WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $4
    ) AS e
    WHERE occurred_at <= $3::timestamptz ORDER BY e.version`,
};

const placeBack = {
  name: 'event-log-place-back',
  text: `
    SELECT transaction_id::text AS "transactionId", position::text AS position FROM platform.event AS e
    WHERE (transaction_id, position) <= ($1::xid8, $2::bigint)
    ORDER BY e.transaction_id DESC, e.position DESC OFFSET $3 LIMIT 1`,
};

/** The place so many events before another one; the start of the log, if there are fewer. */
export const readPlaceBack = async (
  database: Queryable,
  { transactionId, position }: Position,
  events: number,
): Promise<Position> => (await database.query<Position>(placeBack, [transactionId, position, events]))[0] ?? startOfLog;

/** The events behind a place in the log that can be delivered, in the order of the log. */
export const readAfter = (
  database: Queryable,
  { transactionId, position }: Position,
  limit: number,
): Promise<StoredEvent[]> => database.query<StoredEvent>(eventsAfter, [transactionId, position, limit]);

/** Events in the order of the log. */
export interface LogPage {
  readonly events: readonly StoredEvent[];
  /** The last event that was looked at, whether it is among them or not; undefined: there was none. */
  readonly last: StoredEvent | undefined;
  /** There may be more to look at. */
  readonly more: boolean;
}

/**
 * The events behind a place that can be delivered, of some types where they are given. The next page begins behind the `last`
 * of this one, which may hold no events and still be ahead of the place.
 */
export async function readPage(
  database: Queryable,
  after: Position,
  limit: number,
  types?: readonly string[],
): Promise<LogPage> {
  if (!types) {
    const events = await readAfter(database, after, limit);
    return { events, last: events.at(-1), more: events.length === limit };
  }
  const { transactionId, position } = after;
  const seen = await database.query<StoredEvent>(eventsOfTypesAfter, [transactionId, position, limit, types]);
  return { events: seen.filter(({ type }) => types.includes(type)), last: seen.at(-1), more: seen.length > 0 };
}

/** The last event that can be delivered; undefined: there is none. */
export const readLast = async (database: Queryable): Promise<StoredEvent | undefined> =>
  (await database.query<StoredEvent>(lastOfLog))[0];

/** The first event behind a place that is not of some streams, and of one of some types where they are given. */
export const readOfOthers = async (
  database: Queryable,
  { transactionId, position }: Position,
  streams: readonly string[],
  types?: readonly string[],
): Promise<StoredEvent | undefined> =>
  (await database.query<StoredEvent>(firstOfOtherStreams, [transactionId, position, streams, types ?? null]))[0];

/** The last place of the log, whether it can be delivered yet or not; undefined: the log is empty. */
export const readHead = async (database: Queryable): Promise<Position | undefined> =>
  (await database.query<Position>(headOfLog))[0];

/** One event of a stream. */
export const readEvent = async (
  database: Queryable,
  stream: string,
  version: number,
): Promise<StoredEvent | undefined> => (await database.query<StoredEvent>(eventByVersion, [stream, version]))[0];

/** Events by their places in their streams, in any order. */
export const readEvents = (
  database: Queryable,
  places: readonly { readonly stream: string; readonly version: number }[],
): Promise<StoredEvent[]> =>
  database.query<StoredEvent>(eventsByVersions, [
    places.map(({ stream }) => stream),
    places.map(({ version }) => version),
  ]);

/**
 * The events of a stream from its first one on, oldest first, up to an instant and including it; without one, up to now.
 * A chunk at a time, so that neither memory nor the event loop feels how many they are.
 */
export async function* readStream(
  database: Queryable,
  stream: string,
  upTo = 'infinity',
  chunk = 1_000,
): AsyncGenerator<readonly StoredEvent[]> {
  for (let version = 0; ;) {
    const events = await database.query<StoredEvent>(eventsOfStream, [stream, version, upTo, chunk]);
    if (events.length > 0) yield events;
    if (events.length < chunk) return;
    version = events.at(-1)!.version;
  }
}

/** Whether a place lies behind another one. */
export const isBehind = (a: Position, b: Position): boolean => {
  const [first, second] = [BigInt(a.transactionId), BigInt(b.transactionId)];
  return first === second ? BigInt(a.position) < BigInt(b.position) : first < second;
};
