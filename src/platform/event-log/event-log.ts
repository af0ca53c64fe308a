import type { DomainEvent } from '../../kernel/event';
import type { Connection } from '../database/database';
import type { RequestContext } from '../request-context';
import { newId } from '../new-id';

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
    FROM json_to_recordset($1::json)
      AS new (stream text, version bigint, id uuid, type text, data jsonb, occurred_at timestamptz,
              actor text, correlation_id text, causation_id text)`,
};

/** Appends events to the log in the transaction of `connection`; it fails if a version of a stream is taken. */
export async function appendEvents(connection: Connection, events: readonly NewEvent[]): Promise<void> {
  const rows = events.map(({ stream, version, event, occurredAt, context }) => ({
    stream,
    version,
    id: newId(),
    type: event.type,
    data: event.data,
    occurred_at: occurredAt,
    actor: context.actor,
    correlation_id: context.correlationId,
    causation_id: context.causationId,
  }));
  await connection.query(insert, [JSON.stringify(rows)]);
}
