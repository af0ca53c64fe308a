import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Database } from '../database/database';

const every = 10 * 60_000;
/** In doubt is a COMMIT for seconds, until its deadline. An hour is for clocks that differ. */
const keptFor = 60 * 60_000;

const forget = { text: 'DELETE FROM platform.unit_of_work WHERE id < $1' };
/** They say themselves when they expire: see `IdempotencyKeys`. */
const forgetKeys = {
  text: `DELETE FROM platform.idempotency_key WHERE stored_at <= clock_timestamp() - interval '7 days'`,
};

/**
 * Removes what nobody can ask for any more: the ids of units of work - being UUIDv7, they are ordered by time - and what they
 * kept for idempotency keys.
 */
@Injectable()
export class ForgetOldUnits implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly database: Database) {}

  onApplicationBootstrap(): void {
    // What fails now succeeds in ten minutes; there is no hurry.
    this.timer = setInterval(() => void this.forget(Date.now()).catch(() => undefined), every).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** @param now milliseconds since 1970 */
  async forget(now: number): Promise<void> {
    await this.database.query(forget, [firstIdOf(now - keptFor)]);
    await this.database.query(forgetKeys);
  }
}

/** The lowest UUIDv7 of a millisecond. */
const firstIdOf = (milliseconds: number): string => {
  const time = milliseconds.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
};
