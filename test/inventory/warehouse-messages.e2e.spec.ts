import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Redis } from 'ioredis';
import { Workers } from '../../src/platform/workers';
import { listen, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { describeWithRedis } from '../support/describe-with-redis';
import { entriesOf, RedisServer } from '../support/redis';
import { until } from '../support/replica';

const operations = readFileSync(join(__dirname, '../../docs/operations.md'), 'utf8');
/** The commands of the page that speak to Redis, and to the service where it usually listens. */
const session = [...operations.matchAll(/```sh\n(.*?)```/gs)]
  .map(([, text]) => text!)
  .find((text) => /^redis-cli/m.test(text))!;

describeWithRedis('Messages from the warehouse', () => {
  let redis: RedisServer;
  let client: Redis;
  let database: TestDatabase;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    [redis, database] = await Promise.all([RedisServer.start(), freshDatabase()]);
    client = redis.client();
    app = await startService(database.url, { REDIS_URL: redis.url });
    app.get(Workers).start();
    await until(async () => ((await client.pubsub('NUMSUB', 'change_batch_quantity'))[1] as number) === 1);
  });
  afterAll(async () => {
    await app.close();
    await redis.end();
    await database.drop();
  });

  const batch = async (ref: string): Promise<Record<string, unknown> | undefined> => {
    const answer = await app.inject(`/v1/batches/${ref}`);
    return answer.statusCode === 200 ? answer.json() : undefined;
  };
  const purchased = (ref: string, qty: number) => until(async () => (await batch(ref))?.purchased === qty);
  const count = async (name: string, source: string): Promise<number> => {
    const line = `batchwise_messages_${name}_total{source="${source}"} `;
    const { body } = await app.inject('/metrics');
    return Number(
      body
        .split('\n')
        .find((text) => text.startsWith(line))
        ?.slice(line.length) ?? 0,
    );
  };

  it('change the quantity of a batch, on the book’s channel; a bad one is counted and set aside', async () => {
    await app.inject({ method: 'POST', url: '/v1/batches', payload: { ref: 'b1', sku: 'LAMP', qty: 10 } });
    const channel = 'change_batch_quantity';
    for (const bad of ['', '{', '[]', '{"batchref":"b1"}', '{"batchref":"b1","qty":"5"}', '{"batchref":"b1","qty":-1}'])
      await client.publish(channel, bad);
    await client.publish(channel, '{"batchref":"b1","qty":1e400}');
    await client.publish(channel, '{"batchref":"nobody-knows","qty":5}');
    await client.publish(channel, '{"batchref":"b1","qty":7,"warehouse":"north"}');
    await purchased('b1', 7);
    await until(async () => (await count('processed', channel)) === 1);
    expect(await count('received', channel)).toBe(9);
    expect(await count('invalid', channel)).toBe(8);
  });

  it('create batches, and allocate and deallocate lines, through the stream and in its order', async () => {
    const send = (id: string, type: string, data: object) =>
      client.xadd('batchwise.commands', '*', 'id', id, 'type', type, 'data', JSON.stringify(data));
    await send('m1', 'create_batch', { ref: 's1', sku: 'STOOL', qty: 10, eta: '2030-02-01' });
    await send('m2', 'allocate', { orderid: 'o1', sku: 'STOOL', qty: 8 });
    await send('m3', 'allocate', { orderid: 'o1', sku: 'STOOL', qty: 2, lineid: '2' });
    await send('m4', 'deallocate', { orderid: 'o1', sku: 'STOOL' });
    await send('m5', 'change_batch_quantity', { batchref: 's1', qty: 3 });
    await send('m1', 'create_batch', { ref: 's1', sku: 'STOOL', qty: 10, eta: '2030-02-01' });
    await send('m6', 'allocate', { orderid: 'o2', sku: 'NO-SUCH-SKU', qty: 1 });
    await until(async () => (await client.xlen('batchwise.commands.dead')) === 1);
    expect(await batch('s1')).toMatchObject({ sku: 'STOOL', purchased: 3, promised: 2, eta: '2030-02-01' });
    expect(await entriesOf(client, 'batchwise.commands.dead')).toMatchObject([
      { id: 'm6', type: 'allocate', reason: 'unknown-sku: Invalid sku NO-SUCH-SKU' },
    ]);
    await until(async () => (await client.xlen('batchwise.commands')) === 0);
    expect(await count('skipped', 'batchwise.commands')).toBe(1);
    const caused = await database.client();
    const { rows } = await caused.query(
      `SELECT causation_id FROM platform.event WHERE actor = 'broker:batchwise.commands' ORDER BY position`,
    );
    expect(rows.map((row) => row.causation_id)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
  });

  it('can be sent by hand, as the documentation shows', async () => {
    const script = `
      redis-cli() { command redis-cli -p ${redis.port} "$@"; }
      curl() { command curl --fail "\${@/:3000/:${await listen(app)}}"; }
      set -e\n${session}`;
    const { stdout } = await promisify(execFile)('bash', ['-c', script]);
    expect(stdout).toContain('"status":"promised"');
    expect(stdout).not.toContain('ERR');
    await purchased('batch-900', 50);
    expect(await batch('batch-900')).toMatchObject({ sku: 'TALL-LAMP', promised: 5 });
  });

  it('wait while Redis is gone: the service stays ready, works, and says what is degraded', async () => {
    const ready = () => app.inject('/health/ready');
    expect((await ready()).json().checks.broker).toEqual({ status: 'up' });
    await redis.kill();
    const created = await app.inject({
      method: 'POST',
      url: '/v1/batches',
      payload: { ref: 'b9', sku: 'VASE', qty: 9 },
    });
    expect(created.statusCode).toBe(201);
    const answer = await ready();
    expect([answer.statusCode, answer.json().checks.broker.status]).toEqual([200, 'degraded']);
    await redis.startAgain();
    await until(async () =>
      (await entriesOf(client, 'batchwise.events').catch(() => [])).some(({ subject }) => subject === 'VASE'),
    );
    await until(async () => (await ready()).json().checks.broker.status === 'up');
  });
});
