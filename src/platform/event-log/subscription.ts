import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database';
import { Fenced } from '../lease';
import { sleepUntil } from '../sleep-until';
import { Checkpoint } from './checkpoints';
import { type Delivery, type Desk, Stopping } from './delivery';
import { isBehind, readAfter, readEvent } from './event-log-reader';
import { type Attempts, type ParkedEvent, ParkedEvents } from './parked-events';
import type { Position } from './stored-event';
import { OutOfReach } from './subscriber';

const batchSize = 500;
/** Milliseconds between looks at the parked events, at the lease of others, and the first pause after a failure. */
const pauses = { parked: 500, lease: 1_000, failure: 100, longestFailure: 5_000 };
/** While there are events that an open transaction still keeps back. */
const keptBackPause = 15;
/** Milliseconds that parked events may take before the others have their turn. */
const parkedTurn = 250;

/** What a subscription tells about itself. */
export interface SubscriptionObserver {
  /** It could not deliver, or do its own work; it will try again. */
  failed(subscriber: string, error: unknown): void;
  /** An event has failed for the last time. */
  deadLetter(subscriber: string, stream: string, version: number, error: unknown): void;
}

/** One subscriber's way through the log, on one replica: leases it, reads, delivers, remembers. */
export class Subscription {
  private readonly checkpoint: Checkpoint;
  private readonly parked: ParkedEvents;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private wakeUp: () => void = () => undefined;
  private woken = false;
  /** Before the next attempt, if this one fails. */
  private pause = pauses.failure;
  private head: Position | undefined;

  /** @param owner names this replica among all */
  constructor(
    private readonly database: Database,
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
    this.wakeUp();
    await this.running;
  }

  /** There is something new: the log reaches to `head`. */
  wake(head: Position): void {
    this.head = head;
    this.woken = true;
    this.wakeUp();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const at = await this.checkpoint.lease(this.database);
        if (at) await this.checkpoint.keepDuring(this.database, () => this.work(at));
        else await this.rest(pauses.lease);
      } catch (error) {
        if (error instanceof Stopping) break;
        if (!(error instanceof Fenced)) this.observer.failed(this.name, error);
        await this.rest(this.pause);
        this.pause = Math.min(pauses.longestFailure, this.pause * 2);
      }
    }
    await this.checkpoint.release(this.database).catch(() => undefined);
  }

  /** Works until it is stopped. */
  private async work(start: Position): Promise<void> {
    const { database, checkpoint, parked } = this;
    const mayGoOn = (): void => {
      checkpoint.requireHeld();
      if (this.stopped) throw new Stopping();
    };
    const desk: Desk = { database, checkpoint, parked, mayGoOn, parkedStreams: await parked.streams(database) };
    let at = start;
    let parkedAt = 0;
    while (!this.stopped) {
      this.woken = false;
      checkpoint.requireHeld();
      const events = await readAfter(database, at, batchSize);
      const last = events.at(-1);
      if (last) {
        const to = { transactionId: last.transactionId, position: last.position };
        const wanted = events.filter((event) => this.delivery.wants(event.type));
        await this.delivery.deliver(desk, wanted, at, to);
        at = to;
      } else {
        await this.delivery.idle?.(desk, at);
      }
      let hurry = events.length === batchSize;
      if (performance.now() >= parkedAt) {
        const more = await this.redeliver(desk, at);
        hurry ||= more;
        parkedAt = more ? 0 : performance.now() + pauses.parked;
      }
      this.pause = pauses.failure;
      const keptBack = this.head !== undefined && isBehind(at, this.head);
      if (!hurry) await this.sleep(keptBack ? keptBackPause : pauses.parked);
    }
  }

  /**
   * Tries the parked events that are due, each stream in the order of its versions.
   * @returns whether the turn was over before they were through
   */
  private async redeliver(desk: Desk, at: Position): Promise<boolean> {
    const until = performance.now() + parkedTurn;
    const isOver = (): boolean => this.stopped || performance.now() >= until;
    const due = await desk.parked.due(desk.database);
    for (const first of due) {
      let next: ParkedEvent | undefined = first;
      while (next && !isOver()) {
        await this.tryAgain(desk, next, at);
        next = await desk.parked.dueIn(desk.database, next.stream);
      }
    }
    const still = await desk.parked.streams(desk.database);
    desk.parkedStreams.clear();
    for (const stream of still) desk.parkedStreams.add(stream);
    return due.length > 0 && isOver();
  }

  private async tryAgain(desk: Desk, parked: ParkedEvent, at: Position): Promise<void> {
    const event = await readEvent(desk.database, parked.stream, parked.version);
    desk.checkpoint.requireHeld();
    try {
      await this.delivery.redeliver(desk, event!, parked, at);
    } catch (error) {
      if ([Fenced, Stopping, OutOfReach].some((kind) => error instanceof kind)) throw error;
      const last = await desk.parked.failAgain(desk.database, parked, error);
      if (last) this.observer.deadLetter(this.name, parked.stream, parked.version, error);
    }
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Waits until it is stopped, or for so many milliseconds. */
  private async rest(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }

  /** Sleeps until woken, or for so many milliseconds. */
  private async sleep(milliseconds: number): Promise<void> {
    if (this.woken || this.stopped) return;
    await sleepUntil(new Promise((woken) => (this.wakeUp = woken)), milliseconds);
  }
}
