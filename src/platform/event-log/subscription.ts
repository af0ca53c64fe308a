import type { Database } from '../database/database';
import { Fenced } from '../lease';
import { restUntil } from '../sleep-until';
import { Sleeper } from '../sleeper';
import { Checkpoint } from './checkpoints';
import { type Delivery, type Desk, Stopping } from './delivery';
import { isBehind } from './event-log-reader';
import { type Attempts, ParkedEvents } from './parked-events';
import { ParkedRetries } from './parked-retries';
import { pageSize, type RecentEvents } from './recent-events';
import type { Position, StoredEvent } from './stored-event';
import type { SubscriptionObserver } from './subscription-observer';
import { inSpan, type SpanStart } from '../tracing/spans';

/** Milliseconds between looks at the log, at the lease of others, and the first pause after a failure. */
const pauses = { log: 500, lease: 1_000, failure: 100, longestFailure: 5_000 };
/** Between two batches while there is little to deliver at a time: under load, transactions are many and small. */
const gatheringPause = 25;
/** While there are events that an open transaction still keeps back. */
const keptBackPause = 15;
/** Milliseconds after which a place is stored that was reached by events which nobody wanted. */
const storeWithin = 200;

/** One subscriber's way through the log, on one replica: leases it, reads, delivers, remembers. */
export class Subscription {
  private readonly checkpoint: Checkpoint;
  private readonly parked: ParkedEvents;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private readonly sleeper = new Sleeper();
  /** Before the next attempt, if this one fails. */
  private pause = pauses.failure;
  private head: Position | undefined;

  /** @param owner names this replica among all */
  constructor(
    private readonly database: Database,
    private readonly log: RecentEvents,
    readonly name: string,
    private readonly delivery: Delivery,
    owner: string,
    attempts: Attempts,
    private readonly observer: SubscriptionObserver,
    leaseSeconds?: number,
  ) {
    this.checkpoint = new Checkpoint(name, owner, leaseSeconds);
    this.parked = new ParkedEvents(name, delivery.afterLastAttempt, attempts);
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Waits for what is being delivered, and gives the lease back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.sleeper.wake();
    await this.running;
  }

  /** There is something new: the log reaches to `head`. */
  wake(head: Position): void {
    this.head = head;
    this.sleeper.wake();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const at = await this.checkpoint.lease(this.database);
        if (at) await this.checkpoint.keepDuring(this.database, () => this.work(at));
        else await this.rest(pauses.lease);
      } catch (error) {
        if (!(error instanceof Fenced || error instanceof Stopping)) this.observer.failed(this.name, error);
        await this.rest(this.pause);
        this.pause = Math.min(pauses.longestFailure, this.pause * 2);
      }
    }
    await this.checkpoint.release(this.database).catch(() => undefined);
  }

  /** Works until it is stopped. @throws Fenced, or what it could not go on for */
  private async work(start: Position): Promise<void> {
    const over = new AbortController();
    const desk = await this.deskUntil(over.signal);
    const retries = new ParkedRetries(this.name, this.delivery, desk, this.observer, () => this.sleeper.wake());
    const retrying = retries.run(over);
    try {
      await this.follow(desk, retries, start);
    } finally {
      over.abort();
      await retrying;
    }
  }

  private async deskUntil(over: AbortSignal): Promise<Desk> {
    const { database, checkpoint, parked } = this;
    const mayGoOn = (): void => {
      checkpoint.requireHeld();
      if (this.stopped || over.aborted) throw new Stopping();
    };
    return { database, checkpoint, parked, mayGoOn, parkedStreams: await parked.streams(database) };
  }

  /** Reads the log and delivers. Events that nobody wants cost no more than to be passed by, and a look at times. */
  private async follow(desk: Desk, retries: ParkedRetries, start: Position): Promise<void> {
    let at = start;
    let stored = start;
    let storeAt = 0;
    for (;;) {
      this.sleeper.beginRound();
      desk.mayGoOn();
      await this.lookAgainAt(desk, retries);
      const events = await this.log.after(at);
      const wanted = events.filter((event) => this.delivery.wants(event.type));
      at = placeOf(events.at(-1)) ?? at;
      if (wanted.length > 0 || (at !== stored && performance.now() >= storeAt)) {
        await this.deliver(desk, retries, wanted, stored, at);
        stored = at;
        storeAt = performance.now() + storeWithin;
      } else if (events.length === 0) {
        await this.delivery.idle?.(desk, stored);
      }
      this.pause = pauses.failure;
      const behind = this.head !== undefined && isBehind(at, this.head);
      if (events.length === pageSize) continue;
      if (wanted.length > 0) await this.rest(gatheringPause);
      if (events.length > 0 && behind) continue;
      await this.sleeper.sleep(behind ? keptBackPause : at === stored ? pauses.log : storeWithin);
    }
  }

  private async deliver(
    desk: Desk,
    retries: ParkedRetries,
    events: readonly StoredEvent[],
    from: Position,
    to: Position,
  ): Promise<void> {
    const before = desk.parkedStreams.size;
    const deliver = (): Promise<void> => this.delivery.deliver(desk, events, from, to);
    await (events.length > 0 ? inSpan(() => batchSpan(this.name, events), deliver) : deliver());
    if (desk.parkedStreams.size > before) retries.wake();
  }

  /** Streams leave those that are parked here only, between two batches, so that nothing is parked behind what has left. */
  private async lookAgainAt(desk: Desk, retries: ParkedRetries): Promise<void> {
    if (retries.changed.size === 0) return;
    const streams = [...retries.changed];
    retries.changed.clear();
    const still = await desk.parked.streams(desk.database, streams);
    for (const stream of streams) {
      if (still.has(stream)) desk.parkedStreams.add(stream);
      else desk.parkedStreams.delete(stream);
    }
    if (still.size > 0) retries.wake();
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Waits until it is stopped, or for so many milliseconds. */
  private async rest(milliseconds: number): Promise<void> {
    await restUntil(this.stopping.signal, milliseconds);
  }
}

/** A batch belongs to the trace of its events, if they all have the same. */
function batchSpan(subscriber: string, events: readonly StoredEvent[]): SpanStart {
  const { correlationId } = events[0]!;
  const isOfOne = events.every((event) => event.correlationId === correlationId);
  const attributes = { 'batchwise.events': events.length };
  return { name: `deliver ${subscriber}`, attributes, correlationId: isOfOne ? correlationId : null };
}

/** The place alone, so that the event can be forgotten. */
const placeOf = (event: StoredEvent | undefined): Position | undefined =>
  event && { transactionId: event.transactionId, position: event.position };
