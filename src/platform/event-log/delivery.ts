import { OutcomeUnknown, Overloaded } from '../../kernel/unit-of-work';
import { type Database, isConnectionLost, type Queryable, sqlState } from '../database/database';
import { Fenced } from '../lease';
import type { Checkpoint } from './checkpoints';
import { readOfOthers } from './event-log-reader';
import type { ParkedEvents, ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';
import { OutOfReach } from './subscriber';

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

/** The service ends, or the lease: what was not delivered yet is delivered by others, or later. */
export class Stopping extends Error {}

/** Classes of SQLSTATE of what no event is to blame for: rollbacks, a lack of resources, the system's own errors. */
const passing = /^(40|53|58)/;

/** Whether nothing can be delivered for now, by this replica or to this receiver. */
export const endsDelivery = (error: unknown): boolean =>
  [Fenced, Stopping, OutOfReach].some((kind) => error instanceof kind);

/** Whether no event is to blame for an error: the database, the service or whoever is told cannot do it now. */
export const isOutage = (error: unknown): boolean =>
  [Overloaded, OutcomeUnknown, OutOfReach].some((kind) => error instanceof kind) ||
  isConnectionLost(error) ||
  passing.test(sqlState(error) ?? '');

/** What became of a run of parked events of one stream. */
export interface Redelivered {
  /** How many were delivered, and taken out. */
  readonly delivered: number;
  /** What the one behind them failed with. */
  readonly error?: unknown;
}

/** How the three kinds of subscriber are given events. */
export interface Delivery {
  readonly afterLastAttempt: 'block' | 'skip';
  /** Streams whose parked events are tried at the same time. */
  readonly retriedAtOnce: number;

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

  /**
   * Delivers parked events of one stream, in their order and up to the first that fails, and takes them out. Events of other
   * streams may be under delivery meanwhile.
   * @throws Fenced, Stopping, OutOfReach
   */
  redeliver(desk: Desk, run: readonly StoredEvent[]): Promise<Redelivered>;
}

/** Events that can be delivered, and those of streams that already have parked ones. */
export function apart(desk: Desk, events: readonly StoredEvent[]): { free: readonly StoredEvent[]; behind: ToPark[] } {
  if (desk.parkedStreams.size === 0) return { free: events, behind: [] };
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

/**
 * Whether an event of another stream than those that fail can be delivered; it is delivered again in its turn. If there is
 * none, nobody is kept waiting by those that fail.
 */
export async function anotherGetsThrough(
  desk: Desk,
  failing: readonly (readonly StoredEvent[])[],
  to: Position,
  types: readonly string[] | undefined,
  deliver: (event: StoredEvent) => Promise<unknown>,
): Promise<boolean> {
  const streams = [...failing.map((run) => run[0]!.stream), ...desk.parkedStreams];
  const probe = await readOfOthers(desk.database, to, streams, types);
  if (!probe) return false;
  desk.mayGoOn();
  return deliver(probe).then(
    () => true,
    () => false,
  );
}

/** Delivers a run in one go and, where that fails, in ever smaller parts, down to the event that fails by itself. */
export async function upToFailure(
  run: readonly StoredEvent[],
  deliver: (part: readonly StoredEvent[]) => Promise<void>,
): Promise<Redelivered> {
  let delivered = 0;
  for (let size = run.length; delivered < run.length;) {
    const part = run.slice(delivered, delivered + size);
    try {
      await deliver(part);
      delivered += part.length;
    } catch (error) {
      if (endsDelivery(error)) throw error;
      if (part.length === 1 || isOutage(error)) return { delivered, error };
      size = part.length >> 1;
    }
  }
  return { delivered };
}
