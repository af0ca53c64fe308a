import { Logger } from '@nestjs/common';
import type { Database } from '../../platform/database/database';
import { restUntil } from '../../platform/sleep-until';
import { Worker } from '../../platform/workers';
import { OldDeliveries } from './old-deliveries';

/** Milliseconds from look to look. */
const every = 10 * 60_000;

/** Deletes deliveries that were done long ago: a little at a time, and half of the time at most. Replicas share the work. */
export class ForgetOldDeliveries extends Worker {
  private readonly logger = new Logger(ForgetOldDeliveries.name);
  private readonly stopping = new AbortController();
  private readonly old: readonly OldDeliveries[];
  private running: Promise<void> | undefined;

  /** @param keptDays for how long those are kept that were sent; what was given up, twice as long */
  constructor(
    private readonly database: Database,
    keptDays: number,
  ) {
    super();
    this.old = OldDeliveries.of(keptDays);
  }

  start(): void {
    this.running ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Deletes all that are old by now, unless it is stopped. @returns how many */
  async forget(): Promise<number> {
    let sum = 0;
    for (const deliveries of this.old) {
      for (let more = true; more && !this.stopping.signal.aborted;) {
        const begun = performance.now();
        const some = await deliveries.forgetSome(this.database);
        sum += some.forgotten;
        more = some.more;
        if (more) await this.rest(performance.now() - begun);
      }
    }
    return sum;
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        await this.forget();
      } catch (error) {
        this.logger.warn(`old deliveries could not be deleted, and are later: ${String(error)}`);
      }
      await this.rest(every);
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    await restUntil(this.stopping.signal, milliseconds);
  }
}
