import type { DomainEvent } from './event';

/** An event together with its place in the aggregate's stream. */
export interface RecordedEvent {
  readonly version: number;
  readonly event: DomainEvent;
}

/** The root of a consistency boundary: every change of it is an event that carries the next version: 1, 2, 3 … */
export abstract class AggregateRoot {
  readonly #recorded: RecordedEvent[] = [];
  #version: number;

  protected constructor(version: number) {
    this.#version = version;
  }

  /** The version of the last event of the stream; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** The events recorded since this copy of the aggregate was made, oldest first. */
  get recorded(): readonly RecordedEvent[] {
    return this.#recorded;
  }

  /** Appends an event to the stream and returns its version. */
  protected record(event: DomainEvent): number {
    this.#version += 1;
    this.#recorded.push({ version: this.#version, event });
    return this.#version;
  }
}
