import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { CommandBus } from '@nestjs/cqrs';
import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { DomainError } from '../../src/kernel/domain-error';
import { Overloaded } from '../../src/kernel/unit-of-work';
import { Broker } from '../../src/platform/broker/broker';
import { BrokerIntake } from '../../src/platform/broker/broker-intake';
import { BrokerMessage } from '../../src/platform/broker/broker-message';
import { Execution } from '../../src/platform/broker/execution';
import { Config } from '../../src/platform/config';
import type { Database } from '../../src/platform/database/database';
import { BrokerMetrics } from '../../src/platform/metrics/broker-metrics';
import { currentContext } from '../../src/platform/request-context';
import { freshDatabase, type TestDatabase } from '../support/database';
import { describeWithRedis } from '../support/describe-with-redis';
import { entriesOf, RedisServer } from '../support/redis';
import { until } from '../support/replica';

class Note {
  constructor(
    readonly sku: string,
    readonly text: string,
  ) {}
}

const NoteData = z.object({ sku: z.string().max(20), text: z.string().default('') });
type NoteData = z.output<typeof NoteData>;

class NoteMessage extends BrokerMessage<NoteData> {
  readonly type = 'note';
  override readonly channel = 'notes';
  readonly schema = NoteData;
  toCommand = ({ sku, text }: NoteData): Note => new Note(sku, text);
  override aboutSku({ sku }: NoteData): string {
    return sku;
  }
}

/** Nothing is handled beside it. */
class InventoryMessage extends BrokerMessage<NoteData> {
  readonly type = 'inventory';
  readonly schema = NoteData;
  toCommand = ({ text }: NoteData): Note => new Note('all', text);
}

/** Leads to a server, whose bytes come as slowly as told, in bytes a second. */
async function slowLine(to: number, speed: number): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => [client, upstream].forEach((end) => end.destroy()));
    }
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      client.write(chunk);
      upstream.pause();
      setTimeout(() => upstream.resume(), (1_000 * chunk.length) / speed);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

const stream = 'batchwise.commands';
const dead = 'batchwise.commands.dead';
const counters = ['received', 'processed', 'skipped', 'invalid'] as const;

describe('The intake of messages', () => {
  it('does not start with two kinds of message of one name', () => {
    const discovery = { getProviders: () => [{ instance: new NoteMessage() }, { instance: new NoteMessage() }] };
    const intake = new BrokerIntake(discovery as never, {} as never, {} as never, {} as never, {} as never);
    expect(() => intake.onModuleInit()).toThrow('two kinds of message from the broker are called note');
  });
});

describeWithRedis('The intake of messages', () => {
  let redis: RedisServer;
  let client: Redis;
  let test: TestDatabase;
  let database: Database;
  let done: string[];
  let execute: (note: Note) => unknown;
  const running: BrokerIntake[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    redis = await RedisServer.start();
    client = redis.client();
    test = await freshDatabase();
    database = await test.connect();
  });
  beforeEach(async () => {
    await client.flushall();
    done = [];
    execute = () => undefined;
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((intake) => intake.stop()));
  });
  afterAll(async () => {
    await redis.end();
    await test.drop();
  });

  const start = (leaseSeconds?: number, url = redis.url) => {
    const registry = new Registry();
    const commands = {
      async execute(note: Note) {
        await execute(note);
        done.push(`${note.sku} ${note.text}`.trim());
      },
    } as unknown as CommandBus;
    const discovery = {
      getProviders: () => [{ instance: new NoteMessage() }, { instance: new InventoryMessage() }],
    } as unknown as DiscoveryService;
    const broker = new Broker(Config.load({ REDIS_URL: url }));
    const metrics = new BrokerMetrics(registry);
    const intake = new BrokerIntake(discovery, database, broker, new Execution(commands), metrics);
    intake.leaseSeconds = leaseSeconds;
    intake.onModuleInit();
    intake.start();
    running.push(intake);
    const counts = async (source: string): Promise<number[]> =>
      Promise.all(
        counters.map(async (name) => {
          const { values } = await registry.getSingleMetric(`batchwise_messages_${name}_total`)!.get();
          return values.find(({ labels }) => labels.source === source)?.value ?? 0;
        }),
      );
    return { intake, counts };
  };

  const send = (id: string, sku: string, text = '', type = 'note') =>
    client.xadd(stream, '*', 'id', id, 'type', type, 'data', JSON.stringify({ sku, text }));
  const isDone = (count: number) => until(() => done.length >= count);
  const listens = () => until(async () => ((await client.pubsub('NUMSUB', 'notes'))[1] as number) === 1);
  const nothingIsLeft = () => until(async () => (await client.xlen(stream)) === 0);

  const refuse = (): never => {
    throw new DomainError('too-short', 'conflict', 'It is too short.');
  };

  describe('from the stream', () => {
    const data = '{"sku":"A","text":"x"}';
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    const huge = `{"sku":"${'x'.repeat(8 << 20)}"}`;
    const surplus = Array.from({ length: 1_000 }, (_, n) => String(n));
    const hostile: [what: string, fields: (string | Buffer)[], reason: string | RegExp][] = [
      ['no fields of ours', ['a', 'b'], 'no field id'],
      ['no id', ['type', 'note', 'data', data], 'no field id'],
      ['no type', ['id', '1', 'data', data], 'no field type'],
      ['no data', ['id', '1', 'type', 'note'], 'no field data'],
      ['an empty id', ['id', '', 'type', 'note', 'data', data], /^id: /],
      ['an id with NUL', ['id', 'a\0b', 'type', 'note', 'data', data], /^id: /],
      ['an id that is SQL', ['id', `'; DROP TABLE platform.inbox; --`, 'type', 'note', 'data', data], /^id: /],
      ['an endless id', ['id', 'x'.repeat(1_000_000), 'type', 'note', 'data', data], /^id: /],
      ['an unknown type', ['id', '2', 'type', 'nonsense', 'data', data], 'type: one of inventory, note is allowed'],
      ['a type that every object has', ['id', '3', 'type', '__proto__', 'data', data], /^type: /],
      ['nothing as data', ['id', '4', 'type', 'note', 'data', ''], 'not JSON'],
      ['half of the data', ['id', '5', 'type', 'note', 'data', data.slice(0, 9)], 'not JSON'],
      ['binary data', ['id', '6', 'type', 'note', 'data', Buffer.from([0x22, 0xff, 0xfe, 0x22])], 'not UTF-8'],
      ['UTF-16', ['id', '7', 'type', 'note', 'data', Buffer.from(data, 'utf16le')], 'not JSON'],
      ['null', ['id', '8', 'type', 'note', 'data', 'null'], /expected object/],
      ['a list', ['id', '9', 'type', 'note', 'data', `[${data}]`], /expected object/],
      ['deep nesting', ['id', '10', 'type', 'note', 'data', deep], /expected object/],
      ['a wrong type', ['id', '11', 'type', 'note', 'data', '{"sku":7}'], /^sku: .*expected string/],
      ['a missing member', ['id', '12', 'type', 'note', 'data', '{"text":"x"}'], /^sku: /],
      ['fields behind endless others', [...surplus, 'id', '13', 'type', 'note', 'data', data], 'no field id'],
      ['8 MiB', ['id', '14', 'type', 'note', 'data', huge], 'more than 65536 bytes'],
    ];

    it('stops at nothing that an entry contains, and keeps it with the reason', async () => {
      for (const [, fields] of hostile) await client.xadd(stream, '*', ...fields);
      const { counts } = start();
      await send('good', 'A', 'still here');
      await isDone(1);
      await nothingIsLeft();
      expect(done).toEqual(['A still here']);
      const kept = await entriesOf(client, dead);
      expect(kept).toHaveLength(hostile.length);
      hostile.forEach(([what, , reason], at) => {
        expect([what, kept[at]!.reason]).toEqual([
          what,
          reason instanceof RegExp ? expect.stringMatching(reason) : reason,
        ]);
      });
      expect(kept[12]).toMatchObject({ id: '6', type: 'note', entry: expect.stringMatching(/^\d+-\d+$/) });
      expect(kept.at(-1)!.data).toHaveLength(65_536);
      await until(async () => (await counts(stream))[3] === hostile.length);
      expect(await counts(stream)).toEqual([hostile.length + 1, 1, 0, hostile.length]);
    });

    it('stops at no entry that is too large for the line on which it comes', async () => {
      const { port, close } = await slowLine(redis.port, 1 << 20);
      await client.xadd(stream, '*', 'id', 'large-1', 'type', 'note', 'data', huge);
      await send('small-1', 'A', 'behind it');
      start(undefined, `redis://127.0.0.1:${port}`);
      await until(() => done.length === 1, 20_000);
      await nothingIsLeft();
      expect(await entriesOf(client, dead)).toMatchObject([{ id: 'large-1', reason: 'more than 65536 bytes' }]);
      await Promise.all(running.splice(0).map((intake) => intake.stop()));
      close();
    });

    it('tells the command who it comes from, and keeps what is refused, as it was sent', async () => {
      let context: unknown;
      execute = () => {
        context = currentContext();
        refuse();
      };
      start();
      await send('no-1', 'A', 'x');
      await nothingIsLeft();
      expect(context).toEqual({ actor: `broker:${stream}`, correlationId: 'no-1', causationId: 'no-1' });
      const [entry] = await entriesOf(client, dead);
      expect(entry).toEqual({
        ...{ reason: 'too-short: It is too short.', entry: expect.any(String) },
        ...{ id: 'no-1', type: 'note', data: '{"sku":"A","text":"x"}' },
      });
    });

    it('handles an id once, be it sent again at once, later, or after it was refused', async () => {
      const { counts } = start();
      await send('same', 'A', 'first');
      await send('same', 'B', 'second');
      await isDone(1);
      await nothingIsLeft();
      await send('same', 'A', 'third');
      execute = refuse;
      await send('refused', 'A');
      await until(async () => (await client.xlen(dead)) === 1 && (await client.xlen(stream)) === 0);
      execute = () => undefined;
      await send('refused', 'A');
      await send('last', 'A', 'last');
      await isDone(2);
      expect(done).toEqual(['A first', 'A last']);
      await until(async () => (await counts(stream))[1] === 2);
      expect(await counts(stream)).toEqual([6, 2, 3, 1]);
    });

    it('takes what another one had begun and not acknowledged, before anything new, and does not repeat what took effect', async () => {
      await client.xgroup('CREATE', stream, 'batchwise', '0', 'MKSTREAM');
      for (const n of [1, 2, 3, 4]) await send(`begun-${n}`, 'A', `begun ${n}`);
      // As a replica that was killed: before it began, after the effect, and after it had noted that.
      await client.xreadgroup('GROUP', 'batchwise', 'batchwise', 'COUNT', 3, 'STREAMS', stream, '>');
      await database.query(
        {
          text: `
            INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor, causation_id)
            VALUES ('thing:${randomUUID()}', 1, gen_random_uuid(), 'test.happened.v1', '{}', now(), 'broker:' || $1, 'begun-2')`,
        },
        [stream],
      );
      await database.query({ text: `INSERT INTO platform.inbox (id) VALUES ('begun-3')` });
      start();
      await isDone(2);
      await nothingIsLeft();
      expect(done).toEqual(['A begun 1', 'A begun 4']);
      expect(await client.xpending(stream, 'batchwise')).toEqual([0, null, null, null]);
    });

    it('claims what was given to a consumer of another name long ago', async () => {
      await client.xgroup('CREATE', stream, 'batchwise', '0', 'MKSTREAM');
      const key = await send('left-1', 'A', 'left behind');
      await client.xreadgroup('GROUP', 'batchwise', 'somebody', 'COUNT', 1, 'STREAMS', stream, '>');
      await client.call('XCLAIM', stream, 'batchwise', 'somebody', '0', key!, 'IDLE', '60000');
      start();
      await isDone(1);
      await nothingIsLeft();
      expect(await client.xpending(stream, 'batchwise')).toEqual([0, null, null, null]);
    });

    it('skips an entry that was removed while it was pending', async () => {
      await client.xgroup('CREATE', stream, 'batchwise', '0', 'MKSTREAM');
      const key = await send('gone-1', 'A', 'gone');
      await client.xreadgroup('GROUP', 'batchwise', 'batchwise', 'COUNT', 1, 'STREAMS', stream, '>');
      await client.xdel(stream, key!);
      start();
      await send('there-1', 'A', 'there');
      await isDone(1);
      await until(async () => ((await client.xpending(stream, 'batchwise')) as number[])[0] === 0);
      expect(done).toEqual(['A there']);
    });

    it('keeps the order of a SKU, while others are not kept waiting', async () => {
      let slow: () => void = () => undefined;
      execute = ({ text }) => (text === 'slow' ? new Promise<void>((resolve) => (slow = resolve)) : undefined);
      for (const [n, [sku, text]] of [
        ['A', 'slow'],
        ['A', 'behind'],
        ['B', 'beside'],
      ].entries())
        await send(`order-${n}`, sku!, text);
      await send('order-8', 'B', 'alone', 'inventory');
      await send('order-9', 'C', 'after');
      start();
      await isDone(1);
      expect(done).toEqual(['B beside']);
      slow();
      await isDone(5);
      expect(done).toEqual(['B beside', 'A slow', 'A behind', 'all alone', 'C after']);
    });

    it('tries again while the service is overloaded, and gives up on what fails for no reason', async () => {
      let attempts = 0;
      execute = ({ text }) => {
        if (text === 'bug') throw new TypeError('a bug');
        attempts += 1;
        if (attempts < 3) throw new Overloaded();
      };
      start();
      await send('busy-1', 'A', 'patient');
      await send('busy-2', 'B', 'bug');
      await isDone(1);
      expect([attempts, done]).toEqual([3, ['A patient']]);
      await nothingIsLeft();
      expect(await entriesOf(client, dead)).toMatchObject([{ id: 'busy-2', reason: 'failed: TypeError: a bug' }]);
    });

    it('goes on when the group is gone, and when Redis was killed and came back', async () => {
      start();
      await send('lost-1', 'A', '1');
      await isDone(1);
      await client.flushall();
      await send('lost-2', 'A', '2');
      await isDone(2);
      await redis.kill();
      await redis.startAgain();
      await until(async () => (await client.ping().catch(() => '')) === 'PONG');
      await send('lost-3', 'A', '3');
      await isDone(3);
      expect(done).toEqual(['A 1', 'A 2', 'A 3']);
    });

    it('notices a Redis that does not answer, and goes on when it does', async () => {
      start();
      await send('frozen-1', 'A', '1');
      await isDone(1);
      redis.freeze();
      const sent = send('frozen-2', 'A', '2');
      await until(async () => (await database.query({ text: heldLease })).length === 0);
      redis.thaw();
      await sent;
      await isDone(2);
      await nothingIsLeft();
      expect(done).toEqual(['A 1', 'A 2']);
    });
  });

  const heldLease = 'SELECT FROM platform.lease WHERE owner IS NOT NULL';

  it('is done by one replica at a time, and by the next when it stops', async () => {
    const first = start();
    await send('turn-1', 'A', '1');
    await isDone(1);
    const second = start();
    await send('turn-2', 'A', '2');
    await isDone(2);
    expect((await second.counts(stream))[0]).toBe(0);
    await first.intake.stop();
    await send('turn-3', 'A', '3');
    await isDone(3);
    expect((await second.counts(stream))[0]).toBe(1);
    expect(done).toEqual(['A 1', 'A 2', 'A 3']);
  });

  it('finishes what it has begun when it is stopped, and leaves the rest to the next', async () => {
    let finish: () => void = () => undefined;
    let begun = 0;
    execute = () => {
      begun += 1;
      return new Promise<void>((resolve) => (finish = resolve));
    };
    const { intake } = start();
    await send('stop-1', 'A', 'begun');
    await send('stop-2', 'A', 'not begun');
    await until(() => begun === 1);
    const stopped = intake.stop();
    finish();
    await stopped;
    expect(done).toEqual(['A begun']);
    expect(begun).toBe(1);
    execute = () => undefined;
    start();
    await isDone(2);
    await nothingIsLeft();
    expect(done).toEqual(['A begun', 'A not begun']);
  });

  describe('from a channel', () => {
    it('stops at nothing that a message contains, takes the good ones in order, and ignores what it does not know', async () => {
      const { counts } = start();
      await listens();
      const bad = [
        '',
        'nonsense',
        '{"sku":',
        '[]',
        'null',
        '{"sku":7}',
        '{}',
        Buffer.from([0xff, 0x00]),
        'x'.repeat(8 << 20),
      ];
      for (const message of bad) await client.publish('notes', message);
      execute = ({ text }) => (text === 'refused' ? refuse() : undefined);
      await client.publish('notes', '{"sku":"A","text":"refused"}');
      for (let n = 0; n < 20; n += 1)
        await client.publish('notes', JSON.stringify({ sku: 'A', text: String(n), surplus: { deep: [n] } }));
      await isDone(20);
      expect(done).toEqual(Array.from({ length: 20 }, (_, n) => `A ${n}`));
      await until(async () => (await counts('notes'))[1] === 20);
      expect(await counts('notes')).toEqual([30, 20, 0, 10]);
    });

    it('finishes what it has heard when it is stopped', async () => {
      let finish: () => void = () => undefined;
      let begun = false;
      execute = ({ text }) => {
        if (text !== 'first') return undefined;
        begun = true;
        return new Promise<void>((resolve) => (finish = resolve));
      };
      const { intake, counts } = start();
      await listens();
      for (const text of ['first', 'second']) await client.publish('notes', JSON.stringify({ sku: 'A', text }));
      await until(async () => begun && (await counts('notes'))[0] === 2);
      const stopped = intake.stop();
      finish();
      await stopped;
      expect(done).toEqual(['A first', 'A second']);
    });
  });
});
