import type { DomainEvent } from '../../kernel/event';
import { becauseOf } from './because-of';
import { apart, byStream, type Delivery, type Desk, failedRun, parkAndAdvance } from './delivery';
import type { ParkedEvent, ToPark } from './parked-events';
import { type EventClass, type Position, revive, type StoredEvent } from './stored-event';
import type { AfterLastAttempt } from './subscriber';
import { within } from './within';

/** Streams that are handled at the same time. */
const streamsAtOnce = 8;

export interface EventHandler {
  handle(event: DomainEvent): unknown;
}

/** At least once, in order per stream: every event is handled and awaited, then the checkpoint moves. */
export class ReactionDelivery implements Delivery {
  private readonly classes: ReadonlyMap<string, EventClass>;

  constructor(
    private readonly name: string,
    private readonly handler: EventHandler,
    events: readonly EventClass[],
    readonly afterLastAttempt: AfterLastAttempt,
  ) {
    this.classes = new Map(events.map((event) => [event.type, event]));
  }

  wants(type: string): boolean {
    return this.classes.has(type);
  }

  async deliver(desk: Desk, events: readonly StoredEvent[], from: Position, to: Position): Promise<void> {
    const { free, behind } = apart(desk, events);
    const runs = byStream(free);
    const toPark: ToPark[] = behind;
    const work = async (): Promise<void> => {
      for (let run = runs.shift(); run; run = runs.shift()) toPark.push(...(await this.handleRun(desk, run)));
    };
    const ended = await Promise.allSettled(Array.from({ length: streamsAtOnce }, work));
    const fenced = ended.find((outcome) => outcome.status === 'rejected');
    if (fenced) throw fenced.reason;
    await parkAndAdvance(desk, toPark, from, to);
  }

  async redeliver(desk: Desk, event: StoredEvent, parked: ParkedEvent): Promise<void> {
    await this.handle(event);
    await desk.parked.remove(desk.database, parked);
  }

  /** @returns the event that failed and those behind it. @throws Fenced, Stopping */
  private async handleRun(desk: Desk, run: readonly StoredEvent[]): Promise<ToPark[]> {
    for (const [place, event] of run.entries()) {
      desk.mayGoOn();
      try {
        await this.handle(event);
      } catch (error) {
        return failedRun(run.slice(place), error);
      }
    }
    return [];
  }

  private async handle(stored: StoredEvent): Promise<void> {
    const event = revive(stored, this.classes.get(stored.type)!);
    await within(this.name, () => becauseOf(stored, this.name, () => this.handler.handle(event)));
  }
}
