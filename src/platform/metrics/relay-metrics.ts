import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { Database } from '../database/database';
import { oncePerScrape } from './once-per-scrape';

const lags = {
  name: 'relay-lags',
  text: `
    SELECT s.name AS subscriber, count(e.version)::int AS events,
           coalesce(extract(epoch FROM clock_timestamp() - min(e.occurred_at)), 0)::float8 AS seconds
    FROM platform.subscriber AS s
    LEFT JOIN LATERAL (
      SELECT version, occurred_at FROM platform.event
      WHERE (transaction_id, position) > (s.transaction_id, s.position) ORDER BY transaction_id, position LIMIT 10000
    ) AS e ON true
    GROUP BY s.name`,
};

interface Lag {
  readonly subscriber: string;
  readonly events: number;
  readonly seconds: number;
}

const parked = {
  name: 'relay-parked',
  text: `
    SELECT s.name AS subscriber, count(p.id) FILTER (WHERE dead_at IS NULL)::int AS parked,
           count(p.id) FILTER (WHERE dead_at IS NOT NULL)::int AS dead,
           coalesce(extract(epoch FROM clock_timestamp() - min(parked_at) FILTER (WHERE dead_at IS NULL)), 0)::float8 AS age
    FROM platform.subscriber AS s LEFT JOIN platform.parked_event AS p ON p.subscriber = s.name GROUP BY s.name`,
};

interface Parked {
  readonly subscriber: string;
  readonly parked: number;
  readonly dead: number;
  readonly age: number;
}

/** The oldest transaction that keeps events back; one that is prepared for two-phase commit belongs to no session. */
const oldestTransaction = {
  name: 'relay-oldest-transaction',
  text: `
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - began)), 0)::float8 AS seconds FROM (
      SELECT xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL
      UNION ALL SELECT prepared FROM pg_prepared_xacts
    ) AS writing (began)`,
};

/** What the relay does, and how far behind the subscribers are. */
@Injectable()
export class RelayMetrics {
  private readonly failures: Counter;
  private readonly dead: Counter;

  constructor(registry: Registry, database: Database) {
    this.failures = new Counter({
      name: 'batchwise_subscriber_failures_total',
      help: 'Deliveries that failed as a whole and are tried again.',
      labelNames: ['subscriber'],
      registers: [registry],
    });
    this.dead = new Counter({
      name: 'batchwise_subscriber_dead_letters_total',
      help: 'Events that failed for the last time.',
      labelNames: ['subscriber'],
      registers: [registry],
    });
    const gauge = <Row extends { subscriber: string }>(
      name: string,
      help: string,
      read: () => Promise<readonly Row[]>,
      value: (row: Row) => number,
    ) =>
      new Gauge({
        name,
        help,
        labelNames: ['subscriber'],
        registers: [registry],
        async collect() {
          const rows = await read();
          this.reset();
          for (const row of rows) this.set({ subscriber: row.subscriber }, value(row));
        },
      });
    const lag = oncePerScrape<Lag>(database, lags);
    gauge('batchwise_subscriber_lag_events', 'Events not delivered yet, 10,000 at most.', lag, (row) => row.events);
    gauge('batchwise_subscriber_lag_seconds', 'Age of the oldest event not delivered yet.', lag, (row) => row.seconds);
    const kept = oncePerScrape<Parked>(database, parked);
    gauge('batchwise_subscriber_parked_events', 'Events that wait for another attempt.', kept, (row) => row.parked);
    gauge('batchwise_subscriber_parked_seconds', 'Age of the oldest of them.', kept, (row) => row.age);
    gauge('batchwise_subscriber_dead_letters', 'Dead letters neither replayed nor discarded.', kept, (row) => row.dead);
    const oldest = oncePerScrape<{ seconds: number }>(database, oldestTransaction);
    new Gauge({
      name: 'batchwise_oldest_writing_transaction_seconds',
      help: 'Age of the oldest transaction on the server that has written: events behind it are kept back.',
      registers: [registry],
      async collect() {
        this.set((await oldest())[0]?.seconds ?? 0);
      },
    });
  }

  failed(subscriber: string): void {
    this.failures.inc({ subscriber });
  }

  deadLetter(subscriber: string): void {
    this.dead.inc({ subscriber });
  }
}
