import { v7 as uuidv7 } from 'uuid';
import type { DomainEvent } from '../../kernel/event';
import type { Connection } from '../database/database';
import type { RequestContext } from '../request-context';

/** An event on its way into the log. */
export interface NewEvent {
  /** `product:<sku>`: the aggregate's kind and key. */
  readonly stream: string;
  readonly version: number;
  readonly event: DomainEvent;
  /** ISO instant with microseconds, by the database's clock. */
  readonly occurredAt: string;
  readonly context: RequestContext;
}

const insert = {
  name: 'event-log-append',
  text: `
    INSERT INTO platform.event
      (stream, version, id, type, data, occurred_at, actor, correlation_id, causation_id)
    SELECT stream, version, id, type, data, occurred_at, actor, correlation_id, causation_id
    FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::jsonb[], $6::timestamptz[],
                $7::text[], $8::text[], $9::text[])
      AS new (stream, version, id, type, data, occurred_at, actor, correlation_id, causation_id)`,
};

/** Appends events to the log in the transaction of `connection`; it fails if a version of a stream is taken. */
export async function appendEvents(connection: Connection, events: readonly NewEvent[]): Promise<void> {
  await connection.query(insert, [
    events.map((event) => event.stream),
    events.map((event) => event.version),
    events.map(() => uuidv7()),
    events.map((event) => event.event.type),
    events.map((event) => JSON.stringify(event.event.data)),
    events.map((event) => event.occurredAt),
    events.map((event) => event.context.actor),
    events.map((event) => event.context.correlationId),
    events.map((event) => event.context.causationId),
  ]);
}
