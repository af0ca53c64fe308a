import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { Database } from '../database/database';

const lags = {
  name: 'relay-lags',
  text: `
    SELECT s.name, count(e.version)::int AS events,
           coalesce(extract(epoch FROM clock_timestamp() - min(e.occurred_at)), 0)::float8 AS seconds
    FROM platform.subscriber AS s
    LEFT JOIN LATERAL (
      SELECT version, occurred_at FROM platform.event
      WHERE (transaction_id, position) > (s.transaction_id, s.position) ORDER BY transaction_id, position LIMIT 10000
    ) AS e ON true
    GROUP BY s.name`,
};

const deadLetters = {
  name: 'relay-dead-letters',
  text: `
    SELECT subscriber, count(*) FILTER (WHERE dead_at IS NULL)::int AS parked,
           count(*) FILTER (WHERE dead_at IS NOT NULL)::int AS dead
    FROM platform.parked_event GROUP BY subscriber`,
};

/** The oldest transaction that keeps events back. */
const oldestTransaction = {
  name: 'relay-oldest-transaction',
  text: `
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS seconds
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL`,
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
    const gauge = (name: string, help: string): Gauge =>
      new Gauge({ name, help, labelNames: ['subscriber'], registers: [registry] });
    const events = gauge('batchwise_subscriber_lag_events', 'Events that were not delivered yet, 10,000 at most.');
    const seconds = gauge('batchwise_subscriber_lag_seconds', 'Age of the oldest event that was not delivered yet.');
    const parked = gauge('batchwise_subscriber_parked_events', 'Events that wait for another attempt.');
    const letters = gauge('batchwise_subscriber_dead_letters', 'Dead letters that nobody has replayed or discarded.');
    new Gauge({
      name: 'batchwise_oldest_writing_transaction_seconds',
      help: 'Age of the oldest transaction on the server that has written: events behind it are kept back.',
      registers: [registry],
      async collect() {
        const rows = await ask<{ seconds: number }>(database, oldestTransaction);
        this.set(rows[0]?.seconds ?? 0);
        for (const row of await ask<{ name: string; events: number; seconds: number }>(database, lags)) {
          events.set({ subscriber: row.name }, row.events);
          seconds.set({ subscriber: row.name }, row.seconds);
        }
        parked.reset();
        letters.reset();
        for (const row of await ask<{ subscriber: string; parked: number; dead: number }>(database, deadLetters)) {
          parked.set({ subscriber: row.subscriber }, row.parked);
          letters.set({ subscriber: row.subscriber }, row.dead);
        }
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

/** Metrics are read while the database is out of reach, too. */
const ask = <Row extends object>(database: Database, statement: { name: string; text: string }): Promise<Row[]> =>
  database.query<Row>(statement).catch(() => []);
