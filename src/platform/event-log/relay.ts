import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Database } from '../database/database';
import { usualLease } from '../lease';
import { RelayMetrics } from '../metrics/relay-metrics';
import { newId } from '../new-id';
import { allProviders } from '../providers';
import { Sleeper } from '../sleeper';
import { Worker } from '../workers';
import type { Delivery } from './delivery';
import { isBehind, readHead } from './event-log-reader';
import { LogSignal } from './log-signal';
import { type Attempts, patientAttempts } from './parked-events';
import { ProjectionDelivery } from './projection-delivery';
import { PublisherDelivery } from './publisher-delivery';
import { type EventHandler, ReactionDelivery } from './reaction-delivery';
import { RecentEvents } from './recent-events';
import type { EventClass, Position } from './stored-event';
import { Projection, Publisher, Reaction } from './subscriber';
import { Subscription } from './subscription';
import type { SubscriptionObserver } from './subscription-observer';

/** Milliseconds between looks at the end of the log, for events of other replicas. */
const lookEvery = 50;
/** … and after one that failed. */
const afterFailure = 1_000;
/** Where @nestjs/cqrs keeps the events of a class with `@EventsHandler`. */
const eventsHandlerMetadata = '__eventsHandler__';

/**
 * Brings the events of the log to their subscribers: the projections, publishers and reactions among the providers of all
 * modules. Each subscriber is worked by one replica at a time.
 */
@Injectable()
export class Relay extends Worker implements OnModuleInit, SubscriptionObserver {
  /** How often a failing event is tried. */
  attempts: Attempts = patientAttempts;
  /** How long another replica waits before it takes over from one that shows no sign of life. */
  leaseSeconds = usualLease;
  private readonly logger = new Logger(Relay.name);
  private readonly owner = newId();
  private readonly subscribers = new Map<string, Delivery>();
  private readonly subscriptions: Subscription[] = [];
  private head: Position | undefined;
  private looking: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  private readonly sleeper = new Sleeper();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly database: Database,
    private readonly signal: LogSignal,
    private readonly metrics: RelayMetrics,
  ) {
    super();
  }

  /** @throws if two subscribers have one name, or an event handler has none */
  onModuleInit(): void {
    for (const instance of allProviders(this.discovery)) {
      if (instance instanceof Projection) this.add(instance.name, new ProjectionDelivery(instance));
      else if (instance instanceof Publisher) this.addPublisher(instance);
      else if (typeof instance === 'object' && instance) this.addReaction(instance);
    }
  }

  /** The names of all subscribers. */
  get names(): string[] {
    return [...this.subscribers.keys()].sort();
  }

  /** Begins to deliver. Not before the application is up: reactions send commands. */
  start(): void {
    const { database, owner, attempts, leaseSeconds } = this;
    const log = new RecentEvents(database);
    for (const [name, delivery] of this.subscribers)
      this.subscriptions.push(new Subscription(database, log, name, delivery, owner, attempts, this, leaseSeconds));
    for (const subscription of this.subscriptions) subscription.start();
    this.signal.listen(() => this.sleeper.wake());
    this.looking ??= this.look();
  }

  /** Finishes what is being delivered and leaves the rest to others. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.sleeper.wake();
    await Promise.all([this.looking, ...this.subscriptions.map((subscription) => subscription.stop())]);
  }

  failed(subscriber: string, error: unknown): void {
    this.metrics.failed(subscriber);
    this.logger.warn(`${subscriber} could not go on and tries again: ${String(error)}`);
  }

  deadLetter(subscriber: string, stream: string, version: number, error: unknown): void {
    this.metrics.deadLetter(subscriber);
    this.logger.error(`${subscriber} gave up on ${stream} version ${version}, a dead letter now: ${String(error)}`);
  }

  private addPublisher(publisher: Publisher): void {
    if (publisher.hasReceiver) this.add(publisher.name, new PublisherDelivery(publisher));
  }

  private addReaction(instance: object): void {
    // Values without a prototype have no constructor.
    const type: unknown = instance.constructor;
    if (typeof type !== 'function') return;
    const events = Reflect.getMetadata(eventsHandlerMetadata, type) as EventClass[] | undefined;
    if (!events) return;
    const reaction = Reflect.getMetadata(Reaction.KEY, type) as
      { name: string; afterLastAttempt: 'block' | 'skip' } | undefined;
    if (!reaction) throw new Error(`${type.name} handles events: give it a name with @Reaction`);
    const { name, afterLastAttempt } = reaction;
    this.add(name, new ReactionDelivery(name, instance as EventHandler, events, afterLastAttempt));
  }

  private add(name: string, delivery: Delivery): void {
    if (this.subscribers.has(name)) throw new Error(`two subscribers of the event log are called ${name}`);
    this.subscribers.set(name, delivery);
  }

  /** Looks at the end of the log, at once when this process wrote to it, and wakes the subscriptions if it moved. */
  private async look(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      this.sleeper.beginRound();
      let pause = lookEvery;
      try {
        const head = await readHead(this.database);
        if (head && (!this.head || isBehind(this.head, head))) {
          this.head = head;
          for (const subscription of this.subscriptions) subscription.wake(head);
        }
      } catch (error) {
        this.logger.warn(`the end of the event log could not be read: ${String(error)}`);
        pause = afterFailure;
      }
      await this.sleeper.sleep(pause);
    }
  }
}
