/**
 * A fact about an aggregate, in the past tense. Its data is JSON and holds everything that a reader needs to fold the
 * aggregate's state from its stream. A new meaning is a new class with a new version in its type.
 */
export abstract class DomainEvent<Data extends object = object> {
  /** The wire name and version, owned by the class and never derived from its name: `allocation.allocated.v1`. */
  static readonly type: string;

  constructor(readonly data: Data) {}

  get type(): string {
    return (this.constructor as typeof DomainEvent).type;
  }
}
