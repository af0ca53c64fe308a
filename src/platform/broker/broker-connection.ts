import type { Redis } from 'ioredis';
import { OutOfReach } from '../event-log/subscriber';
import { within } from '../event-log/within';

/** Milliseconds that a connection may take to be ready, and commands to be answered: longer than a blocking read blocks. */
const patience = 3_000;

/**
 * A connection to Redis that is opened when it is used, and never repaired: one on which anything went wrong, or did not come
 * in time, is thrown away, and the next use opens another. So nothing is sent twice behind anybody's back, and nothing hangs.
 */
export class BrokerConnection {
  private current: Promise<Redis> | undefined;

  /** @param prepare done on every new connection, before it is used */
  constructor(
    private readonly url: string,
    private readonly name: string,
    private readonly prepare: (redis: Redis) => Promise<unknown> = () => Promise.resolve(),
  ) {}

  /**
   * Runs commands.
   * @throws OutOfReach if they are not answered in time, or with an error
   */
  async use<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    const connection = (this.current ??= this.openNew());
    try {
      const redis = await connection;
      return await within('Redis', () => work(redis), patience);
    } catch (error) {
      this.discard(connection);
      throw new OutOfReach(`Redis is out of reach: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }

  /** Ends what is under way. */
  close(): void {
    if (this.current) this.discard(this.current);
  }

  private openNew(): Promise<Redis> {
    const connection = this.open();
    connection.then(
      (redis) => redis.once('end', () => this.forget(connection)),
      () => undefined,
    );
    return connection;
  }

  private async open(): Promise<Redis> {
    const { Redis } = await import('ioredis'); // Not loaded where there is no broker.
    const redis = new Redis(this.url, {
      lazyConnect: true,
      connectionName: this.name,
      connectTimeout: patience,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      retryStrategy: null,
    });
    let reason: unknown;
    redis.on('error', (error) => (reason = error));
    try {
      await within('Redis', () => redis.connect(), patience);
      await within('Redis', () => this.prepare(redis), patience);
    } catch (error) {
      end(redis);
      throw reason ?? error;
    }
    return redis;
  }

  private discard(connection: Promise<Redis>): void {
    this.forget(connection);
    connection.then(end, () => undefined);
  }

  private forget(connection: Promise<Redis>): void {
    if (this.current === connection) this.current = undefined;
  }
}

/** A server that is frozen would never close its side. */
function end(redis: Redis): void {
  if (redis.status === 'end') return;
  redis.disconnect();
  redis.stream?.destroy();
}
