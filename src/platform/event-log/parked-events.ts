import type { Queryable } from '../database/database';
import { instantOf } from '../database/instants';
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
    SELECT DISTINCT stream FROM platform.parked_event
    WHERE subscriber = $1 AND (dead_at IS NULL OR $2::boolean) AND stream = ANY (coalesce($3::text[], ARRAY[stream]))`,
};

/*
 * The first of every stream, found by one look into the index for each: a hot stream may have very many behind it. A dead one
 * keeps the others of its stream back, unless it is to be skipped.
 */
const firstOf = (streams: string): string => `
  SELECT stream, dead_at, next_attempt_at FROM platform.parked_event
  WHERE subscriber = $1 AND (dead_at IS NULL OR $2::boolean) AND ${streams} ORDER BY stream, version LIMIT 1`;
const heads = {
  name: 'parked-heads',
  text: `
    WITH RECURSIVE head AS (
      (${firstOf('true')})
      UNION ALL
      SELECT following.* FROM head CROSS JOIN LATERAL (${firstOf('stream > head.stream')}) AS following
    )
    SELECT stream, extract(epoch FROM next_attempt_at - clock_timestamp())::float8 AS "inSeconds"
    FROM head WHERE dead_at IS NULL ORDER BY next_attempt_at LIMIT 100`,
};

/** The beginning of a stream, up to one whose time has not come. */
const dueRun = {
  name: 'parked-due-run',
  text: `
    SELECT id, stream, version, attempts FROM (
      SELECT *, bool_and(dead_at IS NULL AND next_attempt_at <= clock_timestamp()) OVER (ORDER BY version) AS is_due
      FROM (
        SELECT id::text AS id, stream, version::float8 AS version, attempts, dead_at, next_attempt_at
        FROM platform.parked_event
        WHERE subscriber = $1 AND (dead_at IS NULL OR $2::boolean) AND stream = $3
        ORDER BY parked_event.version LIMIT $4
      ) AS beginning
    ) AS run
    WHERE is_due ORDER BY version`,
};

const remove = {
  name: 'parked-remove',
  text: `
    DELETE FROM platform.parked_event AS p USING unnest($2::text[], $3::bigint[]) AS gone (stream, version)
    WHERE p.subscriber = $1 AND p.stream = gone.stream AND p.version = gone.version RETURNING 1`,
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
    SET attempts = $4, error = $5, next_attempt_at = clock_timestamp() + make_interval(secs => $6),
        dead_at = CASE WHEN $7 THEN clock_timestamp() END
    WHERE subscriber = $1 AND stream = $2 AND version = $3`,
};

const deadLettersWhere = (condition: string): string => `
    SELECT p.id::text AS id, p.subscriber, p.stream, p.version::float8 AS version, p.attempts, e.type, e.data, p.error,
           ${instantOf('p.dead_at')} AS "deadAt"
    FROM platform.parked_event AS p JOIN platform.event AS e USING (stream, version)
    WHERE p.dead_at IS NOT NULL AND ${condition} ORDER BY p.id`;

const deadLetter = { name: 'parked-dead-letter', text: deadLettersWhere('p.id = $1::bigint') };

const deadLetters = {
  name: 'parked-dead-letters',
  text: `${deadLettersWhere('p.id > $1::bigint AND p.subscriber = coalesce($3, p.subscriber)')} LIMIT $2`,
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

  /** The streams whose next events must be parked too. @param among only these are asked for */
  async streams(database: Queryable, among?: readonly string[]): Promise<Set<string>> {
    const rows = await database.query<{ stream: string }>(streams, [this.subscriber, this.blocks, among ?? null]);
    return new Set(rows.map(({ stream }) => stream));
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

  /** The parked streams that can go on, those first that are due first, and when the first event of each is to be tried. */
  heads(database: Queryable): Promise<{ readonly stream: string; readonly inSeconds: number }[]> {
    return database.query(heads, [this.subscriber, this.blocks]);
  }

  /** The first events of a stream, if their time has come. */
  dueRun(database: Queryable, stream: string, limit: number): Promise<ParkedEvent[]> {
    return database.query<ParkedEvent>(dueRun, [this.subscriber, this.blocks, stream, limit]);
  }

  /** @returns how many of the events were parked */
  async remove(transaction: Queryable, events: readonly StoredEvent[]): Promise<number> {
    if (events.length === 0) return 0;
    const places = [events.map(({ stream }) => stream), events.map(({ version }) => version)];
    return (await transaction.query(remove, [this.subscriber, ...places])).length;
  }

  /** Forgets those behind a place in the log, which will be read again. */
  async forgetBehind(transaction: Queryable, { transactionId, position }: Position): Promise<void> {
    await transaction.query(forgetBehind, [this.subscriber, transactionId, position]);
  }

  /**
   * Notes another failure.
   * @param isToBlame whether it may be the last: an event that is not to blame for it is tried on
   * @returns whether it was the last
   */
  async failAgain(
    database: Queryable,
    { stream, version, attempts }: ParkedEvent,
    error: unknown,
    isToBlame = true,
  ): Promise<boolean> {
    const tried = Math.min(attempts + 1, isToBlame ? this.attempts.max : this.attempts.max - 1);
    const isLast = tried >= this.attempts.max;
    const wait = this.attempts.wait(tried);
    await database.query(failAgain, [this.subscriber, stream, version, tried, reasonOf(error), wait, isLast]);
    return isLast;
  }

  private get blocks(): boolean {
    return this.after === 'block';
  }
}

/** The dead letters of all subscribers, for operators. */
export const DeadLetters = {
  /** Those of one subscriber, or of all, oldest first. @param after id of the last one of the page before */
  list: (database: Queryable, limit = 100, after = '0', subscriber?: string): Promise<DeadLetter[]> =>
    database.query<DeadLetter>(deadLetters, [after, limit, subscriber ?? null]),

  find: async (database: Queryable, id: string): Promise<DeadLetter | undefined> =>
    (await database.query<DeadLetter>(deadLetter, [id]))[0],

  /** Has it tried again, from the first attempt on. @returns whether there is such a dead letter */
  replay: async (database: Queryable, id: string): Promise<boolean> => (await database.query(replay, [id])).length > 0,

  /** Gives it up: it is never delivered to that subscriber. @returns whether there was such a dead letter */
  discard: async (database: Queryable, id: string): Promise<boolean> =>
    (await database.query(discard, [id])).length > 0,
};
