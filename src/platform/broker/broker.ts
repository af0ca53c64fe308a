import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Config } from '../config';
import { within } from '../event-log/within';
import { BrokerConnection } from './broker-connection';

/** Milliseconds: whoever asks how Redis is does not wait for it. */
const soon = 250;

/** Redis, if the configuration names one. It only transports: what it loses can be had from the database again. */
@Injectable()
export class Broker implements OnModuleInit, OnApplicationShutdown {
  /** About how many entries a stream holds at most. */
  readonly streamLength: number;
  private readonly url: string | undefined;
  private readonly publishing: BrokerConnection;

  constructor({ redisUrl, redisStreamMaxlen }: Config) {
    this.url = redisUrl;
    this.streamLength = redisStreamMaxlen;
    this.publishing = this.connection('publishing');
  }

  /** Has the client loaded while the service starts, not while the first who sends waits for it. */
  async onModuleInit(): Promise<void> {
    if (this.isConfigured) await import('ioredis');
  }

  get isConfigured(): boolean {
    return this.url !== undefined;
  }

  /** Runs commands that do not block, on the connection that all share. @throws OutOfReach */
  use<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    return this.publishing.use(work);
  }

  /** Sends messages to a channel, in their order. @throws OutOfReach; some may have been sent */
  async publish(channel: string, messages: readonly string[]): Promise<void> {
    await this.use((redis) =>
      atOnce(
        redis,
        messages.map((message) => ['publish', channel, message]),
      ),
    );
  }

  /** Whether Redis answers, and soon. */
  async answers(): Promise<boolean> {
    try {
      await within('Redis', () => this.use((redis) => redis.ping()), soon);
      return true;
    } catch {
      return false;
    }
  }

  /** A connection of one's own, to be closed by whoever asked for it. @param prepare done whenever it is opened, before it is used */
  connection(name: string, prepare?: (redis: Redis) => Promise<unknown>): BrokerConnection {
    return new BrokerConnection(this.url ?? '', `batchwise-${name}`, prepare);
  }

  onApplicationShutdown(): void {
    this.publishing.close();
  }
}

/** Commands in one transaction: all or none. @throws the first error */
export async function atOnce(
  redis: Redis,
  commands: readonly (readonly (string | number | Buffer)[])[],
): Promise<void> {
  const answers = await redis.multi(commands.map((command) => [...command])).exec();
  for (const [error] of answers ?? []) if (error) throw error;
}
