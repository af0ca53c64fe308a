import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { BrokerMetrics } from '../metrics/broker-metrics';
import type { Broker } from './broker';
import type { BrokerConnection } from './broker-connection';
import { type BrokerMessage, requestOf } from './broker-message';
import type { Execution } from './execution';
import type { Turn } from './turn';

/** Milliseconds between signs of life: a connection that died silently hears nothing. */
const signOfLife = 1_000;
/** Commands that wait at most. A channel cannot be asked to wait, so what comes on top of them is lost. */
const mostWaiting = 100_000;
/** Milliseconds in which those that wait are finished when the service stops. */
const lastMinute = 10_000;

interface Waiting {
  readonly channel: string;
  readonly command: object;
}

/** The channels: messages in the order in which they come, one after another, and only while somebody listens. */
export class Channels {
  private readonly logger = new Logger('Broker');
  private readonly connection: BrokerConnection;
  private readonly waiting: Waiting[] = [];
  private working: Promise<void> | undefined;

  constructor(
    broker: Broker,
    private readonly kinds: ReadonlyMap<string, BrokerMessage>,
    private readonly execution: Execution,
    private readonly metrics: BrokerMetrics,
    private readonly turn: Turn,
  ) {
    this.connection = broker.connection('channels', (redis) => this.subscribe(redis));
  }

  /** Listens until it is stopped. @throws Stopping, Fenced, OutOfReach */
  async run(): Promise<never> {
    try {
      for (;;) {
        await this.connection.use((redis) => redis.ping());
        await this.turn.rest(signOfLife);
        this.turn.mayGoOn();
      }
    } finally {
      this.connection.close();
      await this.finish();
    }
  }

  private async subscribe(redis: Redis): Promise<void> {
    redis.on('messageBuffer', (channel: Buffer, data: Buffer) => this.hear(channel.toString(), data));
    await redis.subscribe(...this.kinds.keys());
  }

  private hear(channel: string, data: Buffer): void {
    this.metrics.count('received', channel);
    try {
      const { command } = requestOf(this.kinds.get(channel)!, data);
      if (this.waiting.length >= mostWaiting) throw new Error(`${mostWaiting} messages are waiting already`);
      this.waiting.push({ channel, command });
      this.working ??= this.work().finally(() => (this.working = undefined));
    } catch (error) {
      this.setAside(channel, error instanceof Error ? error.message : String(error));
    }
  }

  private async work(): Promise<void> {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      const { channel, command } = next;
      try {
        this.turn.requireHeld();
        const refusal = await this.execution.execute(command, channel, null, this.turn);
        if (refusal === undefined) this.metrics.count('processed', channel);
        else this.setAside(channel, refusal);
      } catch (error) {
        this.setAside(channel, `it was not known to be done when this replica's turn ended: ${String(error)}`);
      }
    }
  }

  /** Finishes what was heard, as far as there is time. */
  private async finish(): Promise<void> {
    const patience = setTimeout(() => {
      const left = this.waiting.splice(0);
      for (const { channel } of left) this.setAside(channel, 'the service stopped');
    }, lastMinute);
    await this.working;
    clearTimeout(patience);
  }

  private setAside(channel: string, reason: string): void {
    this.metrics.count('invalid', channel);
    this.logger.warn(`a message on ${channel} was set aside: ${reason}`);
  }
}
