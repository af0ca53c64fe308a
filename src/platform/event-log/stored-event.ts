import type { DomainEvent } from '../../kernel/event';

/** A place in the log: events are delivered in this order. Both are decimal texts of 64-bit numbers. */
export interface Position {
  readonly transactionId: string;
  readonly position: string;
}

/** An event as it stands in the log. */
export interface StoredEvent extends Position {
  readonly id: string;
  /** The aggregate's kind and key: `product:<sku>`. */
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** ISO instant with microseconds, by the database's clock. */
  readonly occurredAt: string;
  readonly actor: string;
  readonly correlationId: string | null;
  readonly causationId: string | null;
}

/** A class of events by which stored ones are revived. */
export type EventClass<Event extends DomainEvent = DomainEvent> = {
  readonly type: string;
  new (data: never): Event;
};

/** The event object of a stored event, which knows where it comes from. */
export function revive(stored: StoredEvent, eventClass: EventClass): DomainEvent {
  const event = new eventClass(stored.data as never);
  const { id, stream, version, occurredAt, actor, correlationId } = stored;
  event.origin = { id, stream, version, occurredAt, actor, correlationId };
  return event;
}
