import { Stopping } from '../event-log/delivery';
import type { Lease } from '../lease';
import { restUntil } from '../sleep-until';

/** The time in which this replica is the one that takes messages. */
export class Turn {
  /** @param over tells that the turn is to end */
  constructor(
    private readonly lease: Lease,
    private readonly over: AbortSignal,
  ) {}

  /** Asked before something new is begun. @throws Stopping; Fenced */
  mayGoOn(): void {
    if (this.over.aborted) throw new Stopping();
    this.requireHeld();
  }

  /** @throws Fenced if another replica may have the turn by now */
  requireHeld(): void {
    this.lease.requireHeld();
  }

  /** Waits for so many milliseconds, or until the turn is to end. */
  async rest(milliseconds: number): Promise<void> {
    await restUntil(this.over, milliseconds);
  }

  /** Waits for something that need not be finished. @throws Stopping as soon as the turn is to end; Fenced */
  async unlessOver<T>(work: () => Promise<T>): Promise<T> {
    this.mayGoOn();
    const done = new AbortController();
    const ended = new Promise<never>((_, reject) => {
      this.over.addEventListener('abort', () => reject(new Stopping()), { signal: done.signal });
    });
    try {
      return await Promise.race([work(), ended]);
    } finally {
      done.abort();
    }
  }
}
