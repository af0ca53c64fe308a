import {
  anotherGetsThrough,
  apart,
  byStream,
  type Delivery,
  type Desk,
  failedRun,
  parkAndAdvance,
  type Redelivered,
  upToFailure,
} from './delivery';
import { readPlaceBack } from './event-log-reader';
import type { ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';
import { Lost, OutOfReach, type Publisher } from './subscriber';
import { within } from './within';

/** At least once, in order per stream, in batches. */
export class PublisherDelivery implements Delivery {
  readonly afterLastAttempt = 'block';
  readonly retriedAtOnce = 1;
  private readonly types: ReadonlySet<string> | undefined;

  constructor(private readonly publisher: Publisher) {
    this.types = publisher.events && new Set(publisher.events.map((event) => event.type));
  }

  wants(type: string): boolean {
    return this.types?.has(type) ?? true;
  }

  async deliver(desk: Desk, events: readonly StoredEvent[], from: Position, to: Position): Promise<void> {
    const { free, behind } = apart(desk, events);
    const { failed, receipt } = await this.orRewind(desk, from, () => this.publish(desk, free, to));
    await parkAndAdvance(desk, [...behind, ...failed], from, to, receipt);
  }

  async idle(desk: Desk, at: Position): Promise<void> {
    const { receipt } = desk.checkpoint;
    const { publisher } = this;
    if (receipt === null || !publisher.check) return;
    await this.orRewind(desk, at, () => within(publisher.name, () => publisher.check!(receipt)));
  }

  redeliver(desk: Desk, run: readonly StoredEvent[]): Promise<Redelivered> {
    return upToFailure(run, async (part) => {
      desk.mayGoOn();
      await this.hand(desk, part);
      await desk.parked.remove(desk.database, part);
    });
  }

  /** What was lost is before the checkpoint, which is moved back. @throws whatever `work` throws */
  private async orRewind<T>(desk: Desk, at: Position, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Lost) await this.rewind(desk, at, error.events);
      throw error;
    }
  }

  private async rewind({ database, checkpoint, parked }: Desk, at: Position, events: number): Promise<void> {
    const back = await readPlaceBack(database, at, events);
    await database.transaction(async (transaction) => {
      await parked.forgetBehind(transaction, back);
      await checkpoint.advance(transaction, at, back, null);
    });
  }

  /**
   * Where a batch fails, its streams are tried apart. If any stream gets through, the others have a fault of their own; if
   * none does, what they are published to is out of reach, and nothing is to be blamed on the events.
   * @returns what failed. @throws what an outage was noticed by
   */
  private async publish(
    desk: Desk,
    events: readonly StoredEvent[],
    to: Position,
  ): Promise<{ failed: ToPark[]; receipt?: string | undefined }> {
    if (events.length === 0) return { failed: [] };
    desk.mayGoOn();
    try {
      return { failed: [], receipt: await this.hand(desk, events) };
    } catch (outage) {
      if (outage instanceof OutOfReach) throw outage;
      const runs = byStream(events);
      const failed: ToPark[] = [];
      let receipt: string | undefined;
      for (const run of runs) {
        desk.mayGoOn();
        try {
          receipt = await this.hand(desk, run);
        } catch (error) {
          if (error instanceof OutOfReach) throw error;
          failed.push(...failedRun(run, error));
        }
      }
      if (failed.length === events.length && !(await this.getsThrough(desk, runs, to))) throw outage;
      return { failed, receipt };
    }
  }

  private getsThrough(desk: Desk, runs: readonly StoredEvent[][], to: Position): Promise<boolean> {
    const types = this.types && [...this.types];
    return anotherGetsThrough(desk, runs, to, types, (probe) => this.hand(desk, [probe]));
  }

  private async hand({ checkpoint }: Desk, events: readonly StoredEvent[]): Promise<string | undefined> {
    const { publisher } = this;
    const receipt = await within(publisher.name, () => publisher.publish(events, checkpoint.receipt));
    return receipt ?? undefined;
  }
}
