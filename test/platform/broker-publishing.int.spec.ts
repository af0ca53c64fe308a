import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Broker } from '../../src/platform/broker/broker';
import { EventStreamPublisher } from '../../src/platform/broker/event-stream.publisher';
import { Config } from '../../src/platform/config';
import type { Database } from '../../src/platform/database/database';
import { freshDatabase, type TestDatabase } from '../support/database';
import { describeWithRedis } from '../support/describe-with-redis';
import { entriesOf, RedisServer } from '../support/redis';
import {
  append,
  appended,
  forgetEverything,
  inOrder,
  relayOf,
  type RunningRelay,
  wholeLog,
} from '../support/relay-world';
import { until } from '../support/replica';

const stream = 'batchwise.events';

describe('Without a broker', () => {
  it('nothing is published, and nobody waits for it', () => {
    const { relay } = relayOf({} as Database, [new EventStreamPublisher(new Broker(Config.load({})))]);
    expect(relay.names).toEqual([]);
  });
});

describeWithRedis('The stream of events', () => {
  let redis: RedisServer;
  let client: Redis;
  let test: TestDatabase;
  let database: Database;
  const running: RunningRelay[] = [];
  const brokers: Broker[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    redis = await RedisServer.start();
    client = redis.client();
    test = await freshDatabase();
    database = await test.connect();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map(({ relay }) => relay.stop()));
    for (const broker of brokers.splice(0)) broker.onApplicationShutdown();
    await client.flushall();
    await forgetEverything(database);
  });
  afterAll(async () => {
    await redis.end();
    await test.drop();
  });

  const publish = (on = database, env: NodeJS.ProcessEnv = {}): RunningRelay => {
    const broker = new Broker(Config.load({ REDIS_URL: redis.url, ...env }));
    brokers.push(broker);
    const one = relayOf(on, [new EventStreamPublisher(broker)]);
    running.push(one);
    one.relay.start();
    return one;
  };

  const keyOf = ({ subject, version }: Record<string, string>): string => `thing:${subject}/${version}`;
  /** Each event once, where it came first. */
  const published = async (): Promise<string[]> => [...new Set((await entriesOf(client, stream)).map(keyOf))];
  const everythingIsPublished = async (): Promise<void> => {
    const log = await wholeLog(database);
    await until(async () => (await published()).length >= log.length, 20_000);
    const keys = await published();
    expect([...keys].sort()).toEqual(log);
    expect(inOrder(keys)).toBe(true);
  };

  it('has an entry for each event, with its id, type, subject, version and data', async () => {
    publish();
    await appended(database, 'thing:a:b', 1, 'an "ä" and a \n');
    await until(async () => (await client.xlen(stream)) === 1);
    const [{ id } = { id: '' }] = await database.query<{ id: string }>({ text: 'SELECT id FROM platform.event' });
    const [[, fields]] = (await client.xrange(stream, '-', '+')) as [[string, string[]]];
    expect(fields).toEqual([
      ...['id', id, 'type', 'test.happened.v1', 'subject', 'a:b', 'version', '1'],
      ...['data', '{"what":"an \\"ä\\" and a \\n"}'],
    ]);
  });

  it('keeps the order of each subject, whoever writes, and goes on where another replica ended', async () => {
    const first = publish();
    const write = async (): Promise<void> => {
      for (let n = 0; n < 30; n += 1) await appended(database, `thing:${n % 5}`, 3);
    };
    const writing = [write(), write(), write()];
    await until(async () => (await client.xlen(stream)) > 20);
    publish(await test.connect());
    await first.relay.stop();
    await Promise.all(writing);
    await everythingIsPublished();
    expect(await client.xlen(stream)).toBe(270);
  });

  it('is cut at about the length that is configured', async () => {
    publish(database, { REDIS_STREAM_MAXLEN: '1000' });
    await appended(database, 'thing:long', 2_500);
    await until(async () => (await entriesOf(client, stream)).at(-1)?.version === '2500');
    const length = await client.xlen(stream);
    expect(length).toBeGreaterThanOrEqual(1_000);
    expect(length).toBeLessThan(1_200);
  });

  it('is filled again, up to that length, when somebody has emptied Redis, although nothing new happens', async () => {
    publish(database, { REDIS_STREAM_MAXLEN: '1000' });
    await appended(database, 'thing:old', 1_500);
    await until(async () => (await entriesOf(client, stream)).at(-1)?.version === '1500');
    await client.flushall();
    await until(async () => (await entriesOf(client, stream)).at(-1)?.version === '1500');
    const versions = (await entriesOf(client, stream)).map(({ version }) => Number(version));
    expect(versions).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 501));
  });

  it('has everything, in order, after Redis was killed under load and came back empty', async () => {
    const { metric } = publish();
    let done = false;
    const write = async (): Promise<void> => {
      for (let n = 0; !done; n += 1) await appended(database, `thing:${n % 7}`);
    };
    const writing = [write(), write()];
    await until(async () => (await client.xlen(stream)) > 50);
    await redis.kill();
    await until(async () => ((await metric('batchwise_subscriber_failures_total', 'batchwise-events')) ?? 0) > 0);
    await redis.startAgain();
    await until(async () => (await client.xlen(stream).catch(() => 0)) > 100);
    done = true;
    await Promise.all(writing);
    await everythingIsPublished();
  });

  it('has everything, in order, after Redis was frozen under load', async () => {
    const { metric } = publish();
    await appended(database, 'thing:before', 10);
    await until(async () => (await client.xlen(stream)) === 10);
    redis.freeze();
    for (let n = 0; n < 50; n += 1) await appended(database, `thing:${n % 7}`, 2);
    await until(async () => ((await metric('batchwise_subscriber_failures_total', 'batchwise-events')) ?? 0) > 0);
    expect(await metric('batchwise_subscriber_lag_events', 'batchwise-events')).toBe(100);
    expect(await metric('batchwise_subscriber_parked_events', 'batchwise-events')).toBe(0);
    redis.thaw();
    await everythingIsPublished();
  });

  it('waits for a Redis that was never there', async () => {
    await redis.kill();
    publish();
    await appended(database, 'thing:early', 5);
    await database.transaction((transaction) => append(transaction, 'thing:other', 2));
    await redis.startAgain();
    await everythingIsPublished();
  });
});
