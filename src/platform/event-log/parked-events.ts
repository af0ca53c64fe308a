import type { Queryable } from '../database/database';
import type { Position, StoredEvent } from './stored-event';
import type { AfterLastAttempt } from './subscriber';

/** An event that waits for another attempt, or is a dead letter. */
export interface ParkedEvent {
  readonly id: string;
  readonly stream: string;
  readonly version: number;
  readonly attempts: number;
}

/** An event that failed for the last time, as an operator sees it. */
export interface DeadLetter extends ParkedEvent {
  readonly subscriber: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly error: string;
  /** ISO instant. */
  readonly deadAt: string;
}

/** Events of streams that a subscriber could not digest, as the first of each failed. */
export interface ToPark {
  readonly event: StoredEvent;
  /** What it failed with; undefined: it waits only because one before it in its stream does. */
  readonly error?: unknown;
}

const park = {
  name: 'parked-park',
  text: `
    INSERT INTO platform.parked_event (subscriber, stream, version, attempts, next_attempt_at, error)
    SELECT $1, stream, version, CASE WHEN error IS NULL THEN 0 ELSE 1 END,
           clock_timestamp() + make_interval(secs => CASE WHEN error IS NULL THEN 0 ELSE $5::float8 END), error
    FROM unnest($2::text[], $3::bigint[], $4::text[]) AS new (stream, version, error)
    ON CONFLICT DO NOTHING`,
};

const streams = {
  name: 'parked-streams',
  text: `
    SELECT stream, bool_and(dead_at IS NOT NULL) AS "allDead" FROM platform.parked_event WHERE subscriber = $1
    GROUP BY stream`,
};

/** The first of every stream that is due; a dead one keeps the others of its stream back, unless it is to be skipped. */
const due = {
  name: 'parked-due',
  text: `
    SELECT id::text AS id, stream, version::float8 AS version, attempts FROM (
      SELECT DISTINCT ON (stream) * FROM platform.parked_event
      WHERE subscriber = $1 AND (dead_at IS NULL OR $2::boolean) ORDER BY stream, version
    ) AS first
    WHERE dead_at IS NULL AND next_attempt_at <= clock_timestamp() ORDER BY next_attempt_at LIMIT 100`,
};

/** What is first in a stream now; the same, for one stream. */
const dueIn = {
  name: 'parked-due-in',
  text: `
    SELECT id, stream, version, attempts FROM (
      SELECT id::text AS id, stream, version::float8 AS version, attempts, dead_at, next_attempt_at
      FROM platform.parked_event
      WHERE subscriber = $1 AND (dead_at IS NULL OR $2::boolean) AND stream = $3
      ORDER BY parked_event.version LIMIT 1
    ) AS first
    WHERE dead_at IS NULL AND next_attempt_at <= clock_timestamp()`,
};

const remove = {
  name: 'parked-remove',
  text: 'DELETE FROM platform.parked_event WHERE subscriber = $1 AND stream = $2 AND version = $3',
};

const forgetBehind = {
  name: 'parked-forget-behind',
  text: `
    DELETE FROM platform.parked_event AS p USING platform.event AS e
    WHERE p.subscriber = $1 AND (e.stream, e.version) = (p.stream, p.version)
      AND (e.transaction_id, e.position) > ($2::xid8, $3::bigint)`,
};

const failAgain = {
  name: 'parked-fail-again',
  text: `
    UPDATE platform.parked_event
    SET attempts = attempts + 1, error = $4, next_attempt_at = clock_timestamp() + make_interval(secs => $5),
        dead_at = CASE WHEN attempts + 1 >= $6 THEN clock_timestamp() END
    WHERE subscriber = $1 AND stream = $2 AND version = $3`,
};

const deadLetters = {
  name: 'parked-dead-letters',
  text: `
    SELECT p.id::text AS id, p.subscriber, p.stream, p.version::float8 AS version, p.attempts, e.type, e.data, p.error,
           to_char(p.dead_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "deadAt"
    FROM platform.parked_event AS p JOIN platform.event AS e USING (stream, version)
    WHERE p.dead_at IS NOT NULL AND p.id > $1::bigint ORDER BY p.id LIMIT $2`,
};

const replay = {
  name: 'parked-replay',
  text: `
    UPDATE platform.parked_event SET dead_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
    WHERE id = $1::bigint AND dead_at IS NOT NULL RETURNING 1`,
};

const discard = {
  name: 'parked-discard',
  text: `
    WITH gone AS (
      DELETE FROM platform.parked_event WHERE id = $1::bigint AND dead_at IS NOT NULL
      RETURNING subscriber, stream, version, error
    )
    INSERT INTO platform.discarded_event (subscriber, stream, version, error) SELECT * FROM gone RETURNING 1`,
};

/** How often and how patiently an event is tried. */
export interface Attempts {
  /** After that many it is a dead letter. */
  readonly max: number;
  /** Seconds to wait after the given number of attempts. */
  readonly wait: (attempts: number) => number;
}

/** Twelve attempts over about twenty minutes. */
export const patientAttempts: Attempts = { max: 12, wait: (attempts) => Math.min(300, 0.5 * 2 ** attempts) };

/** PostgreSQL stores no NUL, and what an error says may be anything. */
const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll('\0', '').slice(0, 2_000);

/** The parked events of one subscriber. */
export class ParkedEvents {
  constructor(
    private readonly subscriber: string,
    private readonly after: AfterLastAttempt,
    private readonly attempts: Attempts,
  ) {}

  /** The streams whose next events must be parked too. */
  async streams(database: Queryable): Promise<Set<string>> {
    const rows = await database.query<{ stream: string; allDead: boolean }>(streams, [this.subscriber]);
    return new Set(rows.filter((row) => this.after === 'block' || !row.allDead).map((row) => row.stream));
  }

  async park(transaction: Queryable, events: readonly ToPark[]): Promise<void> {
    if (events.length === 0) return;
    await transaction.query(park, [
      this.subscriber,
      events.map(({ event }) => event.stream),
      events.map(({ event }) => event.version),
      events.map(({ error }) => (error === undefined ? null : reasonOf(error))),
      this.attempts.wait(1),
    ]);
  }

  /** The next event of every parked stream whose time has come. */
  due(database: Queryable): Promise<ParkedEvent[]> {
    return database.query<ParkedEvent>(due, [this.subscriber, this.after === 'block']);
  }

  /** The next event of one stream, if its time has come. */
  async dueIn(database: Queryable, stream: string): Promise<ParkedEvent | undefined> {
    const [next] = await database.query<ParkedEvent>(dueIn, [this.subscriber, this.after === 'block', stream]);
    return next;
  }

  async remove(transaction: Queryable, { stream, version }: ParkedEvent): Promise<void> {
    await transaction.query(remove, [this.subscriber, stream, version]);
  }

  /** Forgets those behind a place in the log, which will be read again. */
  async forgetBehind(transaction: Queryable, { transactionId, position }: Position): Promise<void> {
    await transaction.query(forgetBehind, [this.subscriber, transactionId, position]);
  }

  /** Notes another failure. @returns whether it was the last */
  async failAgain(database: Queryable, { stream, version, attempts }: ParkedEvent, error: unknown): Promise<boolean> {
    const wait = this.attempts.wait(attempts + 1);
    await database.query(failAgain, [this.subscriber, stream, version, reasonOf(error), wait, this.attempts.max]);
    return attempts + 1 >= this.attempts.max;
  }
}

/** The dead letters of all subscribers, for operators. */
export const DeadLetters = {
  /** @param after id of the last one of the page before */
  list: (database: Queryable, limit = 100, after = '0'): Promise<DeadLetter[]> =>
    database.query<DeadLetter>(deadLetters, [after, limit]),

  /** Has it tried again, from the first attempt on. @returns whether there is such a dead letter */
  replay: async (database: Queryable, id: string): Promise<boolean> => (await database.query(replay, [id])).length > 0,

  /** Gives it up: it is never delivered to that subscriber. @returns whether there was such a dead letter */
  discard: async (database: Queryable, id: string): Promise<boolean> =>
    (await database.query(discard, [id])).length > 0,
};
