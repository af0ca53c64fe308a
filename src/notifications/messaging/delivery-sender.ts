import { Logger } from '@nestjs/common';
import { allEnded } from '../../platform/in-parallel';
import { Sleeper } from '../../platform/sleeper';
import { Worker } from '../../platform/workers';

/** By how many seconds a claim outlives the attempt, so that nobody else sends the delivery meanwhile. */
const claimMargin = 15;

/**
 * Sends the deliveries of a channel that are due: at least once, with the same id every time. Replicas share the work: what
 * one has claimed, no other sends, until the claim runs out because its sender is gone.
 */
export abstract class DeliverySender<Due, Receipt> extends Worker {
  /** In milliseconds: a whole attempt; from look to look at what is due; what is under way when the service stops. */
  limits = { attempt: 60_000, look: 1_000, stop: 10_000 };
  /** How often attempts of this process had which outcome. */
  readonly outcomes = new Map<string, number>();
  protected readonly logger = new Logger(this.constructor.name);
  /** Deliveries under way at the same time. */
  protected abstract readonly atOnce: number;
  private readonly underWay = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private readonly attempts = new Set<AbortController>();
  /** Why no attempt may go on. */
  private cutOff: Error | undefined;
  private running: Promise<void> | undefined;
  private readonly sleeper = new Sleeper();

  /** Takes some of what is due, for so many seconds. */
  protected abstract claim(limit: number, seconds: number): Promise<Due[]>;

  /**
   * Hands it over.
   * @param signal gives up, when it is aborted; what became of it is not known then
   * @throws whatever it failed with
   */
  protected abstract handOver(delivery: Due, signal: AbortSignal): Promise<Receipt>;

  /** Notes that it was accepted. @returns the outcome, as it is counted */
  protected abstract accepted(delivery: Due, receipt: Receipt): Promise<string>;

  /** Notes that it failed. @returns whether that was the last attempt */
  protected abstract failed(delivery: Due, error: unknown, reason: string): Promise<boolean>;

  /** What it is called in the log of the service. */
  protected abstract nameOf(delivery: Due): string;

  /** Begins to send, until it is stopped. Not before the application is up. */
  start(): void {
    this.running ??= this.run();
  }

  /** Waits for what is under way; what takes too long is cut off, and sent again by others. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.sleeper.wake();
    const patience = setTimeout(() => this.endAttempts(new Error('the service stopped')), this.limits.stop);
    await this.running;
    clearTimeout(patience);
  }

  /** There is something that is due. */
  announce(): void {
    this.sleeper.wake();
  }

  /**
   * Tries some of what is due, once, and waits for it.
   * @returns how many; none: nothing is left that may be sent now
   */
  async sendDue(): Promise<number> {
    const begun = await this.begin();
    await allEnded(begun);
    return begun.length;
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.sleeper.beginRound();
      try {
        void (await this.begin());
      } catch (error) {
        this.warn(error);
      }
      await this.sleeper.sleep(this.limits.look);
    }
    await Promise.all(this.underWay);
  }

  /** Claims what there is room for, and begins to send it. */
  private async begin(): Promise<Promise<void>[]> {
    const room = this.atOnce - this.underWay.size;
    if (room === 0) return [];
    const due = await this.claim(room, this.limits.attempt / 1_000 + claimMargin);
    return due.map((delivery) => {
      const sending = this.send(delivery);
      const ended: Promise<void> = sending
        .catch((error: unknown) => this.warn(error))
        .finally(() => {
          this.underWay.delete(ended);
          this.announce();
        });
      this.underWay.add(ended);
      return sending;
    });
  }

  private async send(delivery: Due): Promise<void> {
    let receipt: Receipt;
    try {
      receipt = await this.attempt(delivery);
    } catch (error) {
      const reason = reasonOf(error);
      const dead = await this.failed(delivery, error, reason);
      this.count(dead ? 'dead' : 'failed');
      const name = this.nameOf(delivery);
      if (dead) this.logger.error(`${name} was given up: ${reason}`);
      else this.logger.warn(`${name} failed and is sent again later: ${reason}`);
      return;
    }
    this.count(await this.accepted(delivery, receipt));
  }

  /**
   * Hands it over, unless that takes too long, or the service is to end.
   * @throws why it was ended, or whatever it failed with
   */
  private async attempt(delivery: Due): Promise<Receipt> {
    const attempt = new AbortController();
    const tooLong = new Error(`it took longer than ${this.limits.attempt / 1_000} s`);
    const timer = setTimeout(() => attempt.abort(tooLong), this.limits.attempt);
    this.attempts.add(attempt);
    if (this.cutOff) attempt.abort(this.cutOff);
    try {
      return await this.handOver(delivery, attempt.signal);
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.attempts.delete(attempt);
    }
  }

  private endAttempts(because: Error): void {
    this.cutOff = because;
    for (const attempt of this.attempts) attempt.abort(because);
  }

  private count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  private warn(error: unknown): void {
    this.logger.warn(`what is due could not be worked, and is tried again: ${String(error)}`);
  }
}

/** One line that any database can store. */
const reasonOf = (error: unknown): string =>
  String((error as Partial<Error> | undefined)?.message ?? error)
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, 2_000);
