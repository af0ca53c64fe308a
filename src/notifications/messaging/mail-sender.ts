import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { sleepUntil } from '../../platform/sleep-until';
import { Worker } from '../../platform/workers';
import { Database } from '../../platform/database/database';
import { DueDeliveries, type DueDelivery } from './due-deliveries';
import { Mailer, MailRejected } from './mailer';

/** Mails under way at the same time. */
const atOnce = 5;
/** By how many seconds a claim outlives the attempt, so that nobody else sends the mail meanwhile. */
const claimMargin = 15;

/**
 * Sends the mails that are due: at least once, with the same Message-ID every time. Replicas share the work. A mail that
 * is refused for good, or not accepted within a day, is dead.
 */
@Injectable()
export class MailSender extends Worker implements BeforeApplicationShutdown {
  /** In milliseconds: a whole attempt; from look to look at what is due; what is under way when the service stops. */
  limits = { attempt: 60_000, look: 1_000, stop: 10_000 };
  private readonly logger = new Logger(MailSender.name);
  private readonly stopping = new AbortController();
  private readonly cutOff = new AbortController();
  private running: Promise<void> | undefined;
  private woken = false;
  private wakeUp: () => void = () => undefined;

  constructor(
    private readonly database: Database,
    private readonly mailer: Mailer,
  ) {
    super();
  }

  /** Begins to send, until it is stopped. Not before the application is up. */
  start(): void {
    this.running ??= this.run();
  }

  /** Waits for the mails under way; those that take too long are cut off, and sent again by others. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeUp();
    const patience = setTimeout(() => this.cutOff.abort(new Error('the service stopped')), this.limits.stop);
    await this.running;
    clearTimeout(patience);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** There is a mail that is due. */
  announce(): void {
    this.woken = true;
    this.wakeUp();
  }

  /**
   * Tries some of the mails that are due, once.
   * @returns how many; none: nothing is left
   */
  async sendDue(): Promise<number> {
    const claimedFor = this.limits.attempt / 1_000 + claimMargin;
    const due = await DueDeliveries.claim(this.database, atOnce, claimedFor);
    const ends = await Promise.allSettled(due.map((delivery) => this.send(delivery)));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
    return due.length;
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.woken = false;
      try {
        if ((await this.sendDue()) > 0) continue;
      } catch (error) {
        this.logger.warn(`the mails that are due could not be worked, and are tried again: ${String(error)}`);
      }
      await this.sleep();
    }
  }

  private async send(delivery: DueDelivery): Promise<void> {
    const { database } = this;
    const signal = AbortSignal.any([AbortSignal.timeout(this.limits.attempt), this.cutOff.signal]);
    let outcome: 'sent' | 'logged';
    try {
      outcome = await this.mailer.send(delivery, signal);
    } catch (error) {
      const reason = reasonOf(signal.aborted ? signal.reason : error);
      const dead =
        error instanceof MailRejected
          ? await DueDeliveries.close(database, delivery, 'dead', reason)
          : await DueDeliveries.postpone(database, delivery, reason);
      const { messageId, recipient } = delivery;
      if (dead) this.logger.error(`mail ${messageId} to ${recipient} was given up: ${reason}`);
      else this.logger.warn(`mail ${messageId} to ${recipient} failed and is sent again later: ${reason}`);
      return;
    }
    await DueDeliveries.close(database, delivery, outcome);
  }

  /** Sleeps until something is announced, or it is time to look for what others wrote. */
  private async sleep(): Promise<void> {
    if (this.woken || this.stopping.signal.aborted) return;
    await sleepUntil(new Promise((woken) => (this.wakeUp = woken)), this.limits.look);
  }
}

/** One line that any database can store. */
const reasonOf = (error: unknown): string =>
  String((error as Partial<Error> | undefined)?.message ?? error)
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, 2_000);
