import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Database } from '../database/database';
import { Stopping } from '../event-log/delivery';
import { Lease, leaseStatements } from '../lease';
import { BrokerMetrics } from '../metrics/broker-metrics';
import { newId } from '../new-id';
import { providersOf } from '../providers';
import { restUntil } from '../sleep-until';
import { Worker } from '../workers';
import { Broker } from './broker';
import { BrokerMessage } from './broker-message';
import { Channels } from './channels';
import { CommandStream } from './command-stream';
import { Execution } from './execution';
import { Turn } from './turn';

const statements = leaseStatements('platform.lease', 'name');

/** Milliseconds before the next attempt to have the turn. */
const pause = 1_000;

/** Takes messages from the broker: the kinds that modules provide. One replica at a time does, so that they keep their order. */
@Injectable()
export class BrokerIntake extends Worker implements OnModuleInit {
  /** How long another replica waits before it takes over from one that shows no sign of life. */
  leaseSeconds: number | undefined;
  private readonly logger = new Logger(BrokerIntake.name);
  private readonly stopping = new AbortController();
  private readonly types = new Map<string, BrokerMessage>();
  private readonly channels = new Map<string, BrokerMessage>();
  private running: Promise<void> | undefined;
  private complaint: { readonly text: string; readonly until: number } | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly execution: Execution,
    private readonly metrics: BrokerMetrics,
  ) {
    super();
  }

  /** @throws if two kinds of message have one name */
  onModuleInit(): void {
    const add = (kinds: Map<string, BrokerMessage>, name: string, kind: BrokerMessage): void => {
      if (kinds.has(name)) throw new Error(`two kinds of message from the broker are called ${name}`);
      kinds.set(name, kind);
    };
    for (const kind of providersOf<BrokerMessage>(this.discovery, BrokerMessage)) {
      add(this.types, kind.type, kind);
      if (kind.channel !== undefined) add(this.channels, kind.channel, kind);
    }
  }

  /** Begins to take messages, if there is a broker. Not before the application is up: messages are commands. */
  start(): void {
    if (this.broker.isConfigured && this.types.size > 0) this.running ??= this.run();
  }

  /** Takes no more messages, and finishes those that it has. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const lease = new Lease('broker-intake', newId(), statements, this.leaseSeconds);
    while (!signal.aborted) {
      try {
        if (await lease.lease(this.database)) await lease.keepDuring(this.database, () => this.takeTurn(lease));
      } catch (error) {
        if (!signal.aborted) this.complain(error);
        // Another replica may have more luck.
        await lease.release(this.database).catch(() => undefined);
      }
      await restUntil(signal, pause);
    }
  }

  /** Works until anything fails or the service stops, and ends when all of it has ended. */
  private async takeTurn(lease: Lease): Promise<never> {
    const { broker, database, execution, metrics } = this;
    const failed = new AbortController();
    const turn = new Turn(lease, AbortSignal.any([this.stopping.signal, failed.signal]));
    const works = [new CommandStream(broker, database, this.types, execution, metrics, turn).run()];
    if (this.channels.size > 0) works.push(new Channels(broker, this.channels, execution, metrics, turn).run());
    const ends = await Promise.allSettled(works.map((work) => work.finally(() => failed.abort())));
    const errors = ends.map((end) => (end as PromiseRejectedResult).reason as unknown);
    throw errors.find((error) => !(error instanceof Stopping)) ?? errors[0];
  }

  /** Says what is wrong, and not every second. */
  private complain(error: unknown): void {
    const text = String(error);
    if (text === this.complaint?.text && performance.now() < this.complaint.until) return;
    this.complaint = { text, until: performance.now() + 60_000 };
    this.logger.warn(`no messages are taken from the broker for now: ${text}`);
  }
}
