import type { DomainEvent } from '../../kernel/event';
import { inParallel } from '../in-parallel';
import { becauseOf } from './because-of';
import {
  anotherGetsThrough,
  apart,
  byStream,
  type Delivery,
  type Desk,
  failedRun,
  isOutage,
  parkAndAdvance,
  type Redelivered,
} from './delivery';
import type { ToPark } from './parked-events';
import { type EventClass, type Position, revive, type StoredEvent } from './stored-event';
import type { AfterLastAttempt } from './subscriber';
import { inSpan, type SpanStart } from '../tracing/spans';
import { within } from './within';

/** Streams that are handled at the same time. */
const streamsAtOnce = 8;

export interface EventHandler {
  handle(event: DomainEvent): unknown;
}

/** At least once, in order per stream: every event is handled and awaited, then the checkpoint moves. */
export class ReactionDelivery implements Delivery {
  readonly retriedAtOnce = streamsAtOnce;
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
    const failed: ToPark[] = [];
    const errors: unknown[] = [];
    await inParallel(runs, streamsAtOnce, async (run) => {
      const { delivered, error } = await this.handleRun(desk, run);
      if (delivered === run.length) return;
      failed.push(...failedRun(run.slice(delivered), error));
      errors.push(error);
    });
    const nothingGotThrough = failed.length > 0 && failed.length === free.length;
    if (nothingGotThrough && (await this.nobodyGetsThrough(desk, runs, to, errors))) throw errors[0];
    await parkAndAdvance(desk, [...behind, ...failed], from, to);
  }

  async redeliver(desk: Desk, run: readonly StoredEvent[]): Promise<Redelivered> {
    const handled: StoredEvent[] = [];
    try {
      return await this.handleRun(desk, run, handled);
    } finally {
      await desk.parked.remove(desk.database, handled);
    }
  }

  /** Several streams that fail, and no other that gets through, have no fault of their own. */
  private async nobodyGetsThrough(
    desk: Desk,
    runs: readonly StoredEvent[][],
    to: Position,
    errors: readonly unknown[],
  ): Promise<boolean> {
    if (errors.some(isOutage)) return true;
    const types = [...this.classes.keys()];
    return runs.length > 1 && !(await anotherGetsThrough(desk, runs, to, types, (probe) => this.handle(probe)));
  }

  /** @param handled is told those that were, even if it throws. @throws Fenced, Stopping */
  private async handleRun(desk: Desk, run: readonly StoredEvent[], handled: StoredEvent[] = []): Promise<Redelivered> {
    for (const event of run) {
      desk.mayGoOn();
      try {
        await this.handle(event);
      } catch (error) {
        return { delivered: handled.length, error };
      }
      handled.push(event);
    }
    return { delivered: run.length };
  }

  private async handle(stored: StoredEvent): Promise<void> {
    const event = revive(stored, this.classes.get(stored.type)!);
    const handled = (): Promise<unknown> =>
      within(this.name, () => becauseOf(stored, this.name, () => this.handler.handle(event)));
    await inSpan(() => this.spanOf(stored), handled);
  }

  private spanOf({ type, id, correlationId }: StoredEvent): SpanStart {
    return {
      name: `reaction ${this.name}`,
      correlationId,
      attributes: { 'batchwise.event': type, 'batchwise.event_id': id },
    };
  }
}
