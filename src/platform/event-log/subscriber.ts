import { DiscoveryService } from '@nestjs/core';
import type { Queryable } from '../database/database';
import type { EventClass, StoredEvent } from './stored-event';

/**
 * What becomes of a stream, for one subscriber, once an event of it has failed for the last time and is a dead letter:
 * `block`: its later events wait until an operator has replayed or discarded it; `skip`: they go on.
 */
export type AfterLastAttempt = 'block' | 'skip';

/**
 * A read model that is kept up to date from the log, exactly once: its rows are written in one transaction with the
 * place up to which the log was read. A provider of a module that extends it is found and worked by the relay.
 */
export abstract class Projection {
  /** Unique among all subscribers, and kept for ever: the checkpoint is stored under it. */
  abstract readonly name: string;
  /** Where its tables are: `inventory`. */
  abstract readonly schema: string;
  /**
   * Its tables, written by nobody else, by their names in `schema`. A rebuild fills others of the same shape and drops these:
   * nothing may refer to them, and grants are to be given on the schema, as default privileges.
   */
  abstract readonly tables: readonly string[];
  /** The events that it is shown. */
  abstract readonly events: readonly EventClass[];

  /**
   * Writes what the events, in the order of the log, make of the read model. Tables are named without their schema: the
   * search path leads to the live ones, or to those of a rebuild.
   * @throws whatever keeps it from doing so; then none of it is stored, and the events of each stream are tried apart
   */
  abstract project(events: readonly StoredEvent[], transaction: Queryable): Promise<void>;
}

/** Whom a publisher hands events on to does not answer, or not as it should: no event is to blame. */
export class OutOfReach extends Error {}

/** What was published before is gone. */
export class Lost extends OutOfReach {
  /** @param events how many of them, counted back from the checkpoint, are to be published again */
  constructor(
    message: string,
    readonly events: number,
  ) {
    super(message);
  }
}

/**
 * Is given events in batches, at least once and in order per stream: to hand them on to something that is no part of the
 * database, or to deal with many at the cost of one. Found and worked by the relay like a {@link Projection}.
 */
export abstract class Publisher {
  abstract readonly name: string;
  /** The events that it is shown; undefined: all. */
  readonly events?: readonly EventClass[];

  /** False: nobody is named to whom it could publish, and the relay passes it by. */
  get hasReceiver(): boolean {
    return true;
  }

  /**
   * Called for one batch after the other; beside that, parked events of other streams may be tried again.
   * @param receipt what the batch before returned; null: nothing
   * @returns a receipt, by which the receiver can be asked later whether it still has the batch: kept beside the checkpoint
   * @throws to have the whole batch again, later; OutOfReach; Lost
   */
  abstract publish(events: readonly StoredEvent[], receipt: string | null): Promise<string | void>;

  /** Asked now and then while there is nothing new. @throws Lost, if what the receipt was given for is gone; OutOfReach */
  check?(receipt: string): Promise<void>;
}

/**
 * Makes a class with `@EventsHandler(…)` a subscriber of the log: its `handle(event)` is awaited for every event of those
 * classes, at least once and in order per stream. `event.origin.id` tells repeated deliveries.
 */
export const Reaction = DiscoveryService.createDecorator<{
  /** Unique among all subscribers, and kept for ever: the checkpoint is stored under it. */
  readonly name: string;
  readonly afterLastAttempt: AfterLastAttempt;
}>();
