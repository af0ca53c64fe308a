/** Where an event stands in the log, and who caused it. */
export interface EventOrigin {
  /** Unique; the same in every delivery of the event. */
  readonly id: string;
  readonly stream: string;
  readonly version: number;
  /** ISO instant. */
  readonly occurredAt: string;
  readonly actor: string;
  readonly correlationId: string | null;
}

/**
 * A fact about an aggregate, in the past tense. Its data is JSON and holds everything that a reader needs to fold the
 * aggregate's state from its stream. A new meaning is a new class with a new version in its type.
 */
export abstract class DomainEvent<Data extends object = object> {
  /** The wire name and version, owned by the class and never derived from its name: `allocation.allocated.v1`. */
  static readonly type: string;

  /** Set where the event comes from the log: in every reaction. */
  origin?: EventOrigin;

  constructor(readonly data: Data) {}

  get type(): string {
    return (this.constructor as typeof DomainEvent).type;
  }
}
