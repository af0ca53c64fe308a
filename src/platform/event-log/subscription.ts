import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database';
import { Checkpoint, Fenced, leaseSeconds } from './checkpoints';
import type { Delivery, Desk } from './delivery';
import { isBehind, readAfter, readEvent } from './event-log-reader';
import { type Attempts, ParkedEvents } from './parked-events';
import type { Position } from './stored-event';

const batchSize = 500;
/** Milliseconds between looks at the parked events, at the lease of others, and the first pause after a failure. */
const pauses = { parked: 500, lease: 1_000, failure: 100, longestFailure: 5_000 };
/** While there are events that an open transaction still keeps back. */
const keptBackPause = 15;

/** What a subscription tells about itself. */
export interface SubscriptionObserver {
  /** It could not deliver, or do its own work; it will try again. */
  failed(subscriber: string, error: unknown): void;
  /** An event has failed for the last time. */
  deadLetter(subscriber: string, stream: string, version: number, error: unknown): void;
}

/** One subscriber's way through the log, on one replica: leases it, reads, delivers, remembers. Runs until it is stopped. */
export class Subscription {
  private readonly checkpoint: Checkpoint;
  private readonly parked: ParkedEvents;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private wakeUp: () => void = () => undefined;
  private woken = false;
  private head: Position | undefined;

  /** @param owner names this replica among all */
  constructor(
    private readonly database: Database,
    readonly name: string,
    private readonly delivery: Delivery,
    owner: string,
    attempts: Attempts,
    private readonly observer: SubscriptionObserver,
  ) {
    this.checkpoint = new Checkpoint(name, owner);
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
  wake(head?: Position): void {
    this.head = head ?? this.head;
    this.woken = true;
    this.wakeUp();
  }

  private async run(): Promise<void> {
    let pause = pauses.failure;
    while (!this.stopped) {
      try {
        const at = await this.checkpoint.lease(this.database);
        if (at) await this.work(at);
        else await this.sleep(pauses.lease);
        pause = pauses.failure;
      } catch (error) {
        if (!(error instanceof Fenced)) this.observer.failed(this.name, error);
        await this.sleep(pause);
        pause = Math.min(pauses.longestFailure, pause * 2);
      }
    }
    await this.checkpoint.release(this.database).catch(() => undefined);
  }

  /** Works as long as the lease is held. */
  private async work(start: Position): Promise<void> {
    const { database, checkpoint, parked } = this;
    const desk: Desk = { database, checkpoint, parked, parkedStreams: await parked.streams(database) };
    let at = start;
    let renewAt = Date.now() + (leaseSeconds * 1000) / 3;
    let parkedAt = 0;
    while (!this.stopped) {
      this.woken = false;
      const events = await readAfter(database, at, batchSize);
      const last = events.at(-1);
      if (last) {
        const to = { transactionId: last.transactionId, position: last.position };
        const wanted = events.filter((event) => this.delivery.wants(event.type));
        await this.delivery.deliver(desk, wanted, at, to);
        at = to;
        renewAt = Date.now() + (leaseSeconds * 1000) / 3;
      }
      if (Date.now() >= parkedAt) {
        await this.redeliver(desk, at);
        parkedAt = Date.now() + pauses.parked;
      }
      if (Date.now() >= renewAt) {
        if (!(await checkpoint.renew(database))) throw new Fenced(this.name);
        renewAt = Date.now() + (leaseSeconds * 1000) / 3;
      }
      if (events.length === batchSize) continue;
      const keptBack = this.head !== undefined && isBehind(at, this.head);
      await this.sleep(keptBack ? keptBackPause : pauses.parked);
    }
  }

  /** Tries the parked events that are due, each stream in the order of its versions. */
  private async redeliver(desk: Desk, at: Position): Promise<void> {
    for (let due = await desk.parked.due(desk.database); due.length > 0 && !this.stopped;) {
      for (const parked of due) {
        const event = await readEvent(desk.database, parked.stream, parked.version);
        try {
          await this.delivery.redeliver(desk, event!, parked, at);
        } catch (error) {
          if (error instanceof Fenced) throw error;
          const last = await desk.parked.failAgain(desk.database, parked, error);
          if (last) this.observer.deadLetter(this.name, parked.stream, parked.version, error);
        }
      }
      due = await desk.parked.due(desk.database);
    }
    const still = await desk.parked.streams(desk.database);
    desk.parkedStreams.clear();
    for (const stream of still) desk.parkedStreams.add(stream);
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Sleeps until woken, or for so many milliseconds. */
  private async sleep(milliseconds: number): Promise<void> {
    if (this.woken || this.stopped) return;
    const over = new AbortController();
    const woken = new Promise<void>((resolve) => (this.wakeUp = resolve));
    await Promise.race([woken, delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }
}
