import type { Queryable } from '../database/database';
import { Fenced } from '../lease';
import {
  apart,
  byStream,
  type Delivery,
  type Desk,
  failedRun,
  isOutage,
  parkAndAdvance,
  type Redelivered,
  upToFailure,
} from './delivery';
import type { ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';
import type { Projection } from './subscriber';

/** Exactly once: the rows of the read model and the checkpoint are one transaction. */
export class ProjectionDelivery implements Delivery {
  readonly afterLastAttempt = 'block';
  readonly retriedAtOnce = 1;
  private readonly types: ReadonlySet<string>;

  /** @param schema where the tables are that are to be written, those of a rebuild perhaps */
  constructor(
    private readonly projection: Projection,
    private readonly schema = projection.schema,
  ) {
    this.types = new Set(projection.events.map((event) => event.type));
  }

  wants(type: string): boolean {
    return this.types.has(type);
  }

  async deliver(desk: Desk, events: readonly StoredEvent[], from: Position, to: Position): Promise<void> {
    const { free, behind } = apart(desk, events);
    if (free.length === 0) return parkAndAdvance(desk, behind, from, to);
    const toPark = await desk.database.transaction(async (transaction) => {
      await desk.checkpoint.lock(transaction, from);
      const failed = await this.project(transaction, free);
      const all = [...behind, ...failed];
      await desk.parked.park(transaction, all);
      await desk.checkpoint.advance(transaction, from, to);
      return all;
    });
    for (const { event } of toPark) desk.parkedStreams.add(event.stream);
  }

  /** The lock keeps a projection from being at two transactions at once; that the parked rows are still there, keeps it exact. */
  redeliver(desk: Desk, run: readonly StoredEvent[]): Promise<Redelivered> {
    return upToFailure(run, (part) =>
      desk.database.transaction(async (transaction) => {
        await desk.checkpoint.lock(transaction);
        if ((await desk.parked.remove(transaction, part)) < part.length) throw new Fenced(this.projection.name);
        await this.searchIn(transaction);
        await this.projection.project(part, transaction);
        // Nobody else could, as the row is locked.
        await desk.checkpoint.renew(transaction);
      }),
    );
  }

  /** Projects all, or - if that fails - stream by stream. @returns the events of the streams that failed */
  async project(transaction: Queryable, events: readonly StoredEvent[]): Promise<ToPark[]> {
    if (events.length === 0) return [];
    await this.searchIn(transaction);
    const error = await this.attempt(transaction, events);
    if (error === undefined) return [];
    const runs = byStream(events);
    if (runs.length === 1) return failedRun(runs[0]!, error);
    const failed: ToPark[] = [];
    for (const run of runs) {
      const reason = await this.attempt(transaction, run);
      if (reason !== undefined) failed.push(...failedRun(run, reason));
    }
    return failed;
  }

  /**
   * @returns what it failed with, after which nothing of it is left in the transaction
   * @throws what no event is to blame for
   */
  private async attempt(transaction: Queryable, events: readonly StoredEvent[]): Promise<unknown> {
    await transaction.query({ text: 'SAVEPOINT projecting' });
    try {
      await this.projection.project(events, transaction);
      await transaction.query({ text: 'RELEASE SAVEPOINT projecting' });
      return undefined;
    } catch (error) {
      if (isOutage(error)) throw error;
      await transaction.query({ text: 'ROLLBACK TO SAVEPOINT projecting' });
      return error ?? new Error('failed without a reason');
    }
  }

  private async searchIn(transaction: Queryable): Promise<void> {
    await transaction.query({ text: `SELECT set_config('search_path', $1, true)` }, [this.schema]);
  }
}
