import { inParallel } from '../in-parallel';
import { Fenced } from '../lease';
import { Sleeper } from '../sleeper';
import { type Delivery, type Desk, isOutage, Stopping } from './delivery';
import { readEvents } from './event-log-reader';
import type { ParkedEvent } from './parked-events';
import type { SubscriptionObserver } from './subscription-observer';

/** Parked events of a stream that are delivered in one go, at most. */
const runLength = 100;
/** Milliseconds: for what an operator has replayed or discarded; for a stream that is being noticed; after a failure. */
const pauses = { look: 1_000, noticed: 50, failure: 100, longestFailure: 5_000 };

/**
 * Has the parked events of a subscriber tried again when their time has come, beside the delivery of all other streams.
 *
 * A stream belongs to it as long as the delivery counts it among the parked ones: whatever follows in it is parked meanwhile. It
 * only tells which streams may have changed; the delivery looks at them between two batches.
 */
export class ParkedRetries {
  /** Streams that have, perhaps, been drained, or parked by an operator. */
  readonly changed = new Set<string>();
  private readonly sleeper = new Sleeper();

  /** @param tell called when streams have changed */
  constructor(
    private readonly name: string,
    private readonly delivery: Delivery,
    private readonly desk: Desk,
    private readonly observer: SubscriptionObserver,
    private readonly tell: () => void,
  ) {}

  /** Something was parked. */
  wake(): void {
    this.sleeper.wake();
  }

  /** Works until it is over, which it is too when the lease is lost. What fails for another reason is tried again. */
  async run(over: AbortController): Promise<void> {
    over.signal.addEventListener('abort', () => this.wake());
    for (let pause = pauses.failure; !over.signal.aborted;) {
      this.sleeper.beginRound();
      try {
        const rest = await this.round();
        pause = pauses.failure;
        await this.sleeper.sleep(rest);
      } catch (error) {
        if (error instanceof Fenced || error instanceof Stopping) over.abort();
        else this.observer.failed(this.name, error);
        await this.sleeper.sleep(pause);
        pause = Math.min(pauses.longestFailure, pause * 2);
      }
    }
  }

  /** Tries what is due. @returns milliseconds until the next round */
  private async round(): Promise<number> {
    const { parked, database, parkedStreams } = this.desk;
    const heads = await parked.heads(database);
    const due = heads.filter(({ inSeconds }) => inSeconds <= 0).map(({ stream }) => stream);
    const known = due.filter((stream) => parkedStreams.has(stream));
    this.change(due.filter((stream) => !parkedStreams.has(stream)));
    await inParallel(known, this.delivery.retriedAtOnce, (stream) => this.drain(stream));
    if (known.length > 0) return 0;
    const next = due.length > 0 ? pauses.noticed : (heads[0]?.inSeconds ?? Infinity) * 1_000;
    return Math.min(pauses.look, next);
  }

  private async drain(stream: string): Promise<void> {
    const { parked, database } = this.desk;
    try {
      for (let run; (run = await parked.dueRun(database, stream, runLength)).length > 0;) await this.tryAgain(run);
    } finally {
      this.change([stream]);
    }
  }

  private async tryAgain(run: readonly ParkedEvent[]): Promise<void> {
    const { parked, database } = this.desk;
    const events = (await readEvents(database, run)).sort((a, b) => a.version - b.version);
    this.desk.mayGoOn();
    const { delivered, error } = await this.delivery.redeliver(this.desk, events);
    const failed = run[delivered];
    if (!failed) return;
    const last = await parked.failAgain(database, failed, error, !isOutage(error));
    if (last) this.observer.deadLetter(this.name, failed.stream, failed.version, error);
  }

  private change(streams: readonly string[]): void {
    if (streams.length === 0) return;
    for (const stream of streams) this.changed.add(stream);
    this.tell();
  }
}
