import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Redis } from 'ioredis';
import { Workers } from '../../src/platform/workers';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { describeWithRedis } from '../support/describe-with-redis';
import { entriesOf, RedisServer } from '../support/redis';
import { inOrder } from '../support/relay-world';
import { until } from '../support/replica';

const skus = ['CHAIR', 'LAMP', 'STOOL', 'VASE'];

describeWithRedis('While lines are allocated over HTTP, Redis', () => {
  let redis: RedisServer;
  let client: Redis;
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let orders = 0;

  beforeAll(async () => {
    [redis, database] = await Promise.all([RedisServer.start(), freshDatabase()]);
    client = redis.client();
    app = await startService(database.url, { REDIS_URL: redis.url });
    app.get(Workers).start();
    for (const sku of skus)
      await app.inject({ method: 'POST', url: '/v1/batches', payload: { ref: `all-${sku}`, sku, qty: 1_000_000 } });
  });
  afterAll(async () => {
    await app.close();
    await redis.end();
    await database.drop();
  });

  const length = (): Promise<number> => client.xlen('batchwise.events').catch(() => 0);
  const goesOn = async (): Promise<void> => {
    const enough = orders + 50;
    await until(() => orders >= enough);
  };

  /** Allocates from several clients while something is done. @returns the statuses of all answers */
  async function underLoad(work: () => Promise<void>): Promise<Set<number>> {
    const statuses = new Set<number>();
    let over = false;
    const allocate = async (): Promise<void> => {
      while (!over) {
        const line = { orderId: `order-${(orders += 1)}`, sku: skus[orders % skus.length], qty: 1 };
        statuses.add((await app.inject({ method: 'POST', url: '/v1/allocations', payload: line })).statusCode);
      }
    };
    const clients = [allocate(), allocate(), allocate(), allocate()];
    try {
      await goesOn();
      await work();
      await goesOn();
    } finally {
      over = true;
      await Promise.all(clients);
    }
    return statuses;
  }

  const degraded = async (): Promise<void> => {
    const answer = await app.inject('/health/ready');
    expect([answer.statusCode, answer.json().checks.broker.status]).toEqual([200, 'degraded']);
  };

  async function everythingIsPublished(): Promise<void> {
    const log = await database.client();
    const { rows } = await log.query<{ key: string }>(`SELECT stream || '/' || version AS key FROM platform.event`);
    const published = async (): Promise<string[]> =>
      (await entriesOf(client, 'batchwise.events').catch(() => [])).map(
        ({ subject, version }) => `product:${subject}/${version}`,
      );
    await until(async () => new Set(await published()).size >= rows.length, 20_000);
    const keys = [...new Set(await published())];
    expect([...keys].sort()).toEqual(rows.map(({ key }) => key).sort());
    expect(inOrder(keys)).toBe(true);
  }

  it('may be killed and come back empty: all is published, in order, and nobody who allocates notices', async () => {
    const statuses = await underLoad(async () => {
      await until(async () => (await length()) > 50);
      await redis.kill();
      await goesOn();
      await degraded();
      await redis.startAgain();
      await until(async () => (await length()) > 50, 20_000);
    });
    expect([...statuses]).toEqual([201]);
    await everythingIsPublished();
  });

  it('may be emptied, and again while it is filled: all is published, in order, and nobody who allocates notices', async () => {
    const statuses = await underLoad(async () => {
      await until(async () => (await length()) > 50);
      await client.flushall();
      await until(async () => (await length()) > 0);
      await client.flushall();
    });
    expect([...statuses]).toEqual([201]);
    await everythingIsPublished();
  });

  it('may be frozen for longer than it is waited for: all is published, in order, and nobody who allocates notices', async () => {
    const statuses = await underLoad(async () => {
      redis.freeze();
      try {
        await degraded();
        const { body } = await app.inject('/metrics');
        const failures = (text: string): number =>
          Number(/^batchwise_subscriber_failures_total\{subscriber="batchwise-events"\} (\d+)/m.exec(text)?.[1] ?? 0);
        const before = failures(body);
        await until(async () => failures((await app.inject('/metrics')).body) > before);
        await goesOn();
      } finally {
        redis.thaw();
      }
    });
    expect([...statuses]).toEqual([201]);
    await everythingIsPublished();
  });
});
