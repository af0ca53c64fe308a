import { apart, byStream, type Delivery, type Desk, parkAndAdvance } from './delivery';
import type { ParkedEvent, ToPark } from './parked-events';
import type { Position, StoredEvent } from './stored-event';
import type { Publisher } from './subscriber';

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
    const failed = free.length > 0 ? await this.publish(free) : [];
    await parkAndAdvance(desk, [...behind, ...failed], from, to);
  }

  async redeliver(desk: Desk, event: StoredEvent, parked: ParkedEvent): Promise<void> {
    await this.publisher.publish([event]);
    await desk.parked.remove(desk.database, parked);
  }

  /**
   * Where a batch fails, its streams are tried apart. If one of them gets through, the others have a fault of their own; if
   * none does, what they are published to is out of reach, and nothing is to be blamed on the events.
   */
  private async publish(events: readonly StoredEvent[]): Promise<ToPark[]> {
    try {
      await this.publisher.publish(events);
      return [];
    } catch (outage) {
      const runs = byStream(events);
      const failed: ToPark[] = [];
      for (const run of runs) {
        try {
          await this.publisher.publish(run);
        } catch (error) {
          failed.push(...run.map((event, place) => (place === 0 ? { event, error } : { event })));
        }
      }
      if (failed.length === events.length) throw outage;
      return failed;
    }
  }
}
