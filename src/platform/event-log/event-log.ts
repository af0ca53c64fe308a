import type { DomainEvent } from '../../kernel/event';
import type { Connection } from '../database/database';
import { Insertion } from '../database/insertion';
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

const insertion = new Insertion<NewEvent>('platform.event', {
  stream: ['text', ({ stream }) => stream],
  version: ['bigint', ({ version }) => version],
  id: ['uuid', () => newId()],
  type: ['text', ({ event }) => event.type],
  data: ['jsonb', ({ event }) => JSON.stringify(event.data)],
  occurred_at: ['timestamptz', ({ occurredAt }) => occurredAt],
  actor: ['text', ({ context }) => context.actor],
  correlation_id: ['text', ({ context }) => context.correlationId],
  causation_id: ['text', ({ context }) => context.causationId],
});

/** Appends events to the log in the transaction of `connection`; it fails if a version of a stream is taken. */
export const appendEvents = (connection: Connection, events: readonly NewEvent[]): Promise<void> =>
  insertion.run(connection, events);
