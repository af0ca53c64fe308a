import type { Database, Queryable } from '../database/database';
import type { Checkpoint } from './checkpoints';
import type { ParkedEvent, ParkedEvents, ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';

/** What a subscription works with. */
export interface Desk {
  readonly database: Database;
  readonly checkpoint: Checkpoint;
  readonly parked: ParkedEvents;
  /** The streams that have parked events: whatever follows in them is parked too. */
  readonly parkedStreams: Set<string>;
  /** Asked before each delivery. @throws Fenced if another replica may be at it; Stopping if this one is to end */
  mayGoOn(): void;
}

/** The service ends: what was not delivered yet is delivered by others, or after the next start. */
export class Stopping extends Error {}

/** How the three kinds of subscriber are given events. */
export interface Delivery {
  readonly afterLastAttempt: 'block' | 'skip';

  /** Whether the subscriber is shown events of a type. */
  wants(type: string): boolean;

  /**
   * Delivers events in the order of the log, parks what fails, and moves the checkpoint from `from` to `to`.
   * @param events those of a run of the log that are wanted
   * @throws Fenced, Stopping; or what keeps all of them from being delivered: then they are tried again, later
   */
  deliver(desk: Desk, events: readonly StoredEvent[], from: Position, to: Position): Promise<void>;

  /** Called now and then while there is nothing to deliver. */
  idle?(desk: Desk, at: Position): Promise<void>;

  /** Delivers one parked event and takes it out. @throws what it fails with */
  redeliver(desk: Desk, event: StoredEvent, parked: ParkedEvent, at: Position): Promise<void>;
}

/** Events that can be delivered, and those of streams that already have parked ones. */
export function apart(desk: Desk, events: readonly StoredEvent[]): { free: StoredEvent[]; behind: ToPark[] } {
  const free = events.filter(({ stream }) => !desk.parkedStreams.has(stream));
  const behind = events.filter(({ stream }) => desk.parkedStreams.has(stream)).map((event) => ({ event }));
  return { free, behind };
}

/** Runs of one stream each, in the order of their first events. */
export function byStream(events: readonly StoredEvent[]): StoredEvent[][] {
  const streams = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const run = streams.get(event.stream);
    if (run) run.push(event);
    else streams.set(event.stream, [event]);
  }
  return [...streams.values()];
}

/** A run of one stream whose first event failed: the others wait for it. */
export const failedRun = (run: readonly StoredEvent[], error: unknown): ToPark[] =>
  run.map((event, place) => (place === 0 ? { event, error } : { event }));

/** Parks events and moves the checkpoint, in one transaction. @param receipt of a publisher */
export async function parkAndAdvance(
  desk: Desk,
  toPark: readonly ToPark[],
  from: Position,
  to: Position,
  receipt?: string,
): Promise<void> {
  for (const { event } of toPark) desk.parkedStreams.add(event.stream);
  const move = async (transaction: Queryable): Promise<void> => {
    await desk.parked.park(transaction, toPark);
    await desk.checkpoint.advance(transaction, from, to, receipt);
  };
  await (toPark.length > 0 ? desk.database.transaction(move) : move(desk.database));
}
