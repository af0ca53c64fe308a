import { apart, byStream, type Delivery, type Desk, failedRun, parkAndAdvance } from './delivery';
import { readOfOthers } from './event-log-reader';
import type { ParkedEvent, ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';
import type { Publisher } from './subscriber';
import { within } from './within';

/** At least once, in order per stream, in batches. */
export class PublisherDelivery implements Delivery {
  readonly afterLastAttempt = 'block';
  private readonly types: ReadonlySet<string> | undefined;

  constructor(private readonly publisher: Publisher) {
    this.types = publisher.events && new Set(publisher.events.map((event) => event.type));
  }

  wants(type: string): boolean {
    return this.types?.has(type) ?? true;
  }

  async deliver(desk: Desk, events: readonly StoredEvent[], from: Position, to: Position): Promise<void> {
    const { free, behind } = apart(desk, events);
    const failed = free.length > 0 ? await this.publish(desk, free, to) : [];
    await parkAndAdvance(desk, [...behind, ...failed], from, to);
  }

  async redeliver(desk: Desk, event: StoredEvent, parked: ParkedEvent): Promise<void> {
    await this.hand([event]);
    await desk.parked.remove(desk.database, parked);
  }

  /**
   * Where a batch fails, its streams are tried apart. If any stream gets through, the others have a fault of their own; if
   * none does, what they are published to is out of reach, and nothing is to be blamed on the events.
   * @returns what failed. @throws what an outage was noticed by
   */
  private async publish(desk: Desk, events: readonly StoredEvent[], to: Position): Promise<ToPark[]> {
    desk.mayGoOn();
    try {
      await this.hand(events);
      return [];
    } catch (outage) {
      const runs = byStream(events);
      const failed: ToPark[] = [];
      for (const run of runs) {
        desk.mayGoOn();
        try {
          await this.hand(run);
        } catch (error) {
          failed.push(...failedRun(run, error));
        }
      }
      if (failed.length === events.length && !(await this.getsThrough(desk, runs, to))) throw outage;
      return failed;
    }
  }

  /**
   * Whether an event of another stream can be published, which is published again in its turn. If there is none, nobody is
   * kept waiting by those that fail.
   */
  private async getsThrough(desk: Desk, runs: readonly StoredEvent[][], to: Position): Promise<boolean> {
    const failing = runs.map((run) => run[0]!.stream);
    const streams = [...failing, ...desk.parkedStreams];
    const probe = await readOfOthers(desk.database, to, streams, this.types && [...this.types]);
    if (!probe) return false;
    try {
      await this.hand([probe]);
      return true;
    } catch {
      return false;
    }
  }

  private hand(events: readonly StoredEvent[]): Promise<void> {
    return within(this.publisher.name, () => this.publisher.publish(events));
  }
}
