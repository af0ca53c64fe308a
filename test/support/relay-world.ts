import { Registry } from 'prom-client';
import type { DiscoveryService } from '@nestjs/core';
import { DomainEvent } from '../../src/kernel/event';
import type { Database, Queryable } from '../../src/platform/database/database';
import { LogSignal } from '../../src/platform/event-log/log-signal';
import type { Attempts } from '../../src/platform/event-log/parked-events';
import { Relay } from '../../src/platform/event-log/relay';
import type { EventClass, StoredEvent } from '../../src/platform/event-log/stored-event';
import { Projection, Publisher, Reaction } from '../../src/platform/event-log/subscriber';
import { RelayMetrics } from '../../src/platform/metrics/relay-metrics';
import { until } from './replica';

/** Something happened to a thing; the tests' own event. */
export class Happened extends DomainEvent<{ readonly what: string }> {
  static override readonly type = 'test.happened.v1';
}

/** The next versions of a stream; the transaction keeps the stream to itself until it ends. */
export async function append(transaction: Queryable, stream: string, count = 1, what = ''): Promise<void> {
  await transaction.query({ text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' }, [stream]);
  await transaction.query(
    {
      text: `
        INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
        SELECT $1, (SELECT coalesce(max(version), 0) FROM platform.event WHERE stream = $1) + n, gen_random_uuid(),
               'test.happened.v1', jsonb_build_object('what', $3::text), clock_timestamp(), 'test'
        FROM generate_series(1, $2::int) AS n`,
    },
    [stream, count, what],
  );
}

/** Appends in a transaction of its own. */
export const appended = (database: Database, stream: string, count = 1, what = ''): Promise<void> =>
  database.transaction((transaction) => append(transaction, stream, count, what));

/** Waits until everything that is in the log can be delivered: open transactions keep it back, those of other suites too. */
export const deliverable = (database: Database): Promise<void> =>
  until(async () => {
    const kept = `SELECT 1 FROM platform.event WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot()) LIMIT 1`;
    return (await database.query({ text: kept })).length === 0;
  });

/** Leaves nothing of what a test wrote into the log, of its subscribers, and of its read model. */
export const forgetEverything = (database: Database): Promise<unknown> =>
  database.query({
    text: `
      DO $$ BEGIN
        TRUNCATE platform.event, platform.subscriber, platform.parked_event, platform.discarded_event;
        DROP SCHEMA IF EXISTS model CASCADE;
      END $$`,
  });

/** Everything in the log, as `stream/version`. */
export const wholeLog = async (database: Database): Promise<string[]> =>
  (await database.query<{ key: string }>({ text: `SELECT stream || '/' || version AS key FROM platform.event` }))
    .map(({ key }) => key)
    .sort();

/** Tables of the tests' read model: how often each event was counted, and in which order. */
export const createModel = (database: Database): Promise<unknown> =>
  database.query({
    text: `
      DO $$ BEGIN
        CREATE SCHEMA model;
        CREATE TABLE model.thing (
          stream text CONSTRAINT thing_key PRIMARY KEY, version bigint NOT NULL CHECK (version > 0), times bigint NOT NULL
        );
        CREATE INDEX thing_by_version ON model.thing (version) WHERE times > 0;
        CREATE TABLE model.step (
          seq bigint GENERATED ALWAYS AS IDENTITY, stream text, version bigint, CONSTRAINT once UNIQUE (stream, version)
        );
      END $$`,
  });

const countThing = {
  name: 'count-thing',
  text: `
    WITH counted AS (
      INSERT INTO thing (stream, version, times) VALUES ($1, $2, 1)
      ON CONFLICT (stream) DO UPDATE SET version = excluded.version, times = thing.times + 1
      WHERE thing.version + 1 = excluded.version RETURNING stream, version
    )
    INSERT INTO step (stream, version) SELECT stream, version FROM counted RETURNING 1`,
};

/** Counts the events of each stream, and refuses whatever is not the next version. */
export class Things extends Projection {
  readonly schema = 'model';
  readonly tables = ['thing', 'step'];
  readonly events: EventClass[] = [Happened];
  /** Called before an event is written. */
  before: (event: StoredEvent, transaction: Queryable) => unknown = () => undefined;

  constructor(readonly name = 'things') {
    super();
  }

  async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
    for (const event of events) {
      await this.before(event, transaction);
      const rows = await transaction.query(countThing, [event.stream, event.version]);
      if (rows.length === 0) throw new Error(`${event.stream} version ${event.version} is not the next one`);
    }
  }
}

/** What the live read model says: each stream with its version; every event was counted once if `times` is the same. */
export const modelRows = (database: Queryable) =>
  database.query<{ stream: string; version: number; times: number }>({
    text: `
      SELECT stream, version::float8 AS version, times::float8 AS times,
             (SELECT count(*) FROM model.step AS s WHERE s.stream = t.stream)::float8 AS steps
      FROM model.thing AS t ORDER BY stream`,
  });

/** What the log says that the live read model must be. */
export const expectedRows = (database: Queryable) =>
  database.query<{ stream: string; version: number; times: number }>({
    text: `
      SELECT stream, max(version)::float8 AS version, count(*)::float8 AS times, count(*)::float8 AS steps
      FROM platform.event WHERE type = 'test.happened.v1' GROUP BY stream ORDER BY stream`,
  });

/** Remembers what it is given, as `stream/version`. */
export class Recorder extends Publisher {
  readonly got: string[] = [];
  before: (events: readonly StoredEvent[]) => unknown = () => undefined;

  constructor(readonly name = 'recorder') {
    super();
  }

  async publish(events: readonly StoredEvent[]): Promise<void> {
    await this.before(events);
    this.got.push(...events.map(keyOf));
  }
}

export const keyOf = ({ stream, version }: { stream: string; version: number }): string => `${stream}/${version}`;

/** Whether every stream of a sequence of `stream/version` comes in the order of its versions, without a gap. */
export function inOrder(keys: readonly string[]): boolean {
  const versions = new Map<string, number>();
  return keys.every((key) => {
    const slash = key.lastIndexOf('/');
    const [stream, version] = [key.slice(0, slash), Number(key.slice(slash + 1))];
    const next = version === (versions.get(stream) ?? 0) + 1;
    versions.set(stream, version);
    return next;
  });
}

/** A reaction to what happened, with a handler made on the spot. */
export function reactionOf(
  name: string,
  afterLastAttempt: 'block' | 'skip',
  handle: (event: Happened) => unknown,
): object {
  class OnTheSpot {
    handle = handle;
  }
  Reflect.defineMetadata('__eventsHandler__', [Happened], OnTheSpot);
  Reaction({ name, afterLastAttempt })(OnTheSpot);
  return new OnTheSpot();
}

export interface RunningRelay {
  readonly relay: Relay;
  readonly signal: LogSignal;
  /** The value of a metric, of a subscriber if one is named. */
  metric(name: string, subscriber?: string): Promise<number | undefined>;
}

/** Attempts that follow one another at once. */
export const impatient = (max: number): Attempts => ({ max, wait: () => 0 });
/** A replica's relay with subscribers of the test. */
export function relayOf(
  database: Database,
  subscribers: readonly object[],
  { attempts = impatient(3), leaseSeconds = 10 }: { attempts?: Attempts; leaseSeconds?: number } = {},
): RunningRelay {
  const registry = new Registry();
  const signal = new LogSignal();
  const discovery = {
    getProviders: () => subscribers.map((instance) => ({ instance })),
  } as unknown as DiscoveryService;
  const relay = new Relay(discovery, database, signal, new RelayMetrics(registry, database));
  relay.onModuleInit();
  Object.assign(relay, { attempts, leaseSeconds });
  return {
    relay,
    signal,
    async metric(name, subscriber) {
      const { values } = (await registry.getMetricsAsJSON()).find((metric) => metric.name === name)!;
      return values.find(({ labels }) => subscriber === undefined || labels.subscriber === subscriber)?.value;
    },
  };
}
