import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Workers } from '../../src/platform/workers';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { describeWithRedis } from '../support/describe-with-redis';
import { RedisServer } from '../support/redis';
import { until } from '../support/replica';

describeWithRedis('The channel line_allocated', () => {
  let redis: RedisServer;
  let database: TestDatabase;
  let app: NestFastifyApplication;
  const heard: string[] = [];

  beforeAll(async () => {
    [redis, database] = await Promise.all([RedisServer.start(), freshDatabase()]);
    const listener = redis.client();
    listener.on('message', (_channel, message: string) => heard.push(message));
    await listener.subscribe('line_allocated');
    app = await startService(database.url, { REDIS_URL: redis.url });
    app.get(Workers).start();
  });
  afterAll(async () => {
    await app.close();
    await redis.end();
    await database.drop();
  });

  it('tells of every line that is promised, and promised again, in the book’s words', async () => {
    const post = (url: string, body: object) => app.inject({ method: 'POST', url, payload: body });
    await post('/add_batch', { ref: 'early', sku: 'LAMP', qty: 10, eta: null });
    await post('/add_batch', { ref: 'late', sku: 'LAMP', qty: 50, eta: '2030-01-01' });
    await post('/allocate', { orderid: 'o1', sku: 'LAMP', qty: 10 });
    await post('/allocate', { orderid: 'o1', sku: 'LAMP', qty: 10 });
    await until(() => heard.length === 1);
    await app.inject({ method: 'PATCH', url: '/v1/batches/early', payload: { qty: 5 } });
    await until(() => heard.length === 2);
    expect(heard).toEqual([
      '{"orderid":"o1","sku":"LAMP","qty":10,"batchref":"early"}',
      '{"orderid":"o1","sku":"LAMP","qty":10,"batchref":"late"}',
    ]);
  });
});
