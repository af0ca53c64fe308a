import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { EventsCommand } from '../../src/platform/cli/events.command';
import { UsageError } from '../../src/platform/cli/cli-command';
import { KeysCommand } from '../../src/platform/cli/keys.command';
import { ApiKeys } from '../../src/platform/credentials/api-keys';
import type { Database } from '../../src/platform/database/database';
import type { CloudEvent } from '../../src/platform/event-log/cloud-event';
import { EventStreams } from '../../src/platform/feed/event-streams';
import { stopGracefully } from '../../src/platform/http/graceful-stop';
import { UnfinishedAnswers } from '../../src/platform/http/unfinished-answers';
import { listen, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { appended, deliverable, forgetEverything, inOrder, wholeLog } from '../support/relay-world';
import { until } from '../support/replica';

interface Frame {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
}

/** A client of the stream, which keeps what it is sent. */
class Follower {
  readonly frames: Frame[] = [];
  comments = 0;
  /** How it ended: the whole answer, or cut off. */
  ended: 'complete' | 'cut off' | undefined;
  lastId: string | undefined;
  #rest = '';

  private constructor(readonly answer: IncomingMessage) {
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => this.#take(chunk));
    answer.on('error', () => undefined);
    answer.on('close', () => (this.ended = answer.complete ? 'complete' : 'cut off'));
  }

  static async open(port: number, query = '', headers: Record<string, string> = {}): Promise<Follower> {
    const asked = request({ host: '127.0.0.1', port, path: `/v1/events/stream${query}`, headers, agent: false }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return new Follower(answer);
  }

  get keys(): string[] {
    return this.frames.flatMap(({ data }) => {
      if (data === undefined) return [];
      const { subject, version } = JSON.parse(data) as CloudEvent;
      return [`thing:${subject}/${version}`];
    });
  }

  leave(): void {
    this.answer.destroy();
  }

  #take(chunk: string): void {
    const blocks = (this.#rest + chunk).split('\n\n');
    this.#rest = blocks.pop()!;
    for (const block of blocks) {
      if (block.startsWith(':')) this.comments += 1;
      else {
        const frame = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s, 2)));
        this.lastId = (frame.id as string | undefined) ?? this.lastId;
        this.frames.push(frame);
      }
    }
  }
}

describe('The stream of events', () => {
  let db: TestDatabase;
  let database: Database;
  let app: NestFastifyApplication;
  let streams: EventStreams;
  let port: number;
  const followers: Follower[] = [];
  const ending: (() => Promise<void>)[] = [];

  const start = async (env: NodeJS.ProcessEnv = {}): Promise<void> => {
    app = await startService(db.url, { DRAIN_DELAY_MS: '0', ...env });
    streams = app.get(EventStreams);
    port = await listen(app);
  };
  const follow = async (query = '', headers: Record<string, string> = {}): Promise<Follower> => {
    const follower = await Follower.open(port, query, headers);
    followers.push(follower);
    return follower;
  };
  const openStreams = async (): Promise<number> => {
    const { body } = await app.inject('/metrics');
    return Number(/^batchwise_event_streams (\d+)$/m.exec(body)![1]);
  };

  /** A service beside the usual one, for as long as the test goes on. */
  const startAnother = async (env: NodeJS.ProcessEnv = {}): Promise<void> => {
    const usual = { app, streams, port };
    await start(env);
    const another = app;
    ending.push(async () => {
      ({ app, streams, port } = usual);
      await another.close();
    });
  };

  beforeAll(async () => {
    db = await freshDatabase();
    database = await db.connect();
    await start();
  });
  beforeEach(() => until(async () => (await openStreams()) === 0));
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const follower of followers.splice(0)) follower.leave();
    for (const end of ending.splice(0)) await end();
    await forgetEverything(database);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  /** Events that can be read: the service remembers what followed the start of a log in which there was nothing. */
  const written = async (...event: [stream: string, count: number, what?: string]): Promise<void> => {
    await appended(database, ...event);
    await deliverable(database);
  };

  it('tells what was and what comes as CloudEvents, and goes on behind the last one that was seen', async () => {
    await written('thing:a', 3);
    const first = await follow();
    expect(first.answer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(first.answer.headers['x-accel-buffering']).toBe('no');
    await until(() => first.keys.length === 3);
    await appended(database, 'thing:b', 2);
    await until(() => first.keys.length === 5);
    const { id, event, data } = first.frames.at(-1)!;
    expect(event).toBe('test.happened.v1');
    expect(JSON.parse(data!)).toMatchObject({ specversion: '1.0', type: event, subject: 'b', version: 2 });
    first.leave();
    await until(async () => (await openStreams()) === 0);

    await appended(database, 'thing:a', 400);
    const second = await follow('?after=end', { 'last-event-id': id! });
    await until(() => second.keys.length === 400);
    expect([...first.keys, ...second.keys].sort()).toEqual(await wholeLog(database));
    expect(inOrder([...first.keys, ...second.keys])).toBe(true);

    const third = await follow('?after=end');
    const { body } = await app.inject(`/v1/events?after=${second.lastId}`);
    expect(JSON.parse(body)).toEqual({ events: [], next: second.lastId, more: false });
    await appended(database, 'thing:c', 1);
    await until(() => third.keys.length === 1);
    expect(third.keys).toEqual(['thing:c/1']);
  });

  it('loses nothing of a client that breaks off and comes again, over and over', async () => {
    await written('thing:0', 1);
    const got: string[] = [];
    let lastId: string | undefined;
    const writing = (async () => {
      for (let n = 0; n < 60; n += 1) await appended(database, `thing:${n % 7}`, 1 + (n % 4));
    })();
    let total = Number.POSITIVE_INFINITY;
    void writing.then(async () => (total = (await wholeLog(database)).length));
    while (got.length < total) {
      const follower = await follow('', lastId === undefined ? {} : { 'last-event-id': lastId });
      await until(() => follower.keys.length >= 5 || got.length + follower.keys.length >= total);
      follower.leave();
      got.push(...follower.keys);
      lastId = follower.lastId ?? lastId;
    }
    await writing;
    expect(got.sort()).toEqual(await wholeLog(database));
  });

  it('shows that it lives, and moves its clients on past what they did not ask for', async () => {
    jest.replaceProperty(streams, 'heartbeatEvery', 100);
    await written('thing:a', 5);
    const quiet = await follow('?types=allocation.allocated.v1');
    await until(() => quiet.comments >= 2);
    expect(quiet.keys).toEqual([]);
    const last = (await app.inject('/v1/events?after=end')).json<{ next: string }>().next;
    expect(quiet.lastId).toBe(last);
  });

  it('cuts off a client that does not take what it is sent, and no other', async () => {
    jest.replaceProperty(streams, 'patience', 300);
    await written('thing:a', 3_000, 'x'.repeat(5_000));
    const slow = connect(port, '127.0.0.1').pause();
    slow.on('error', () => undefined);
    slow.write('GET /v1/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const good = await follow('?after=end');
    await until(async () => (await openStreams()) === 2);
    await until(async () => (await openStreams()) === 1);
    const closed = once(slow, 'close');
    slow.resume();
    await closed;
    expect(slow.bytesRead).toBeLessThan(15_000_000);
    await appended(database, 'thing:b', 1);
    await until(() => good.keys.length === 1);
  });

  it('is open to so many clients and no more', async () => {
    await startAnother({ EVENT_STREAMS_MAX: '2' });
    const [first] = [await follow(), await follow()];
    const refused = await app.inject('/v1/events/stream');
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.json()).toMatchObject({ code: 'too-many-streams' });
    first.leave();
    await until(async () => (await openStreams()) === 1);
    expect((await follow()).answer.statusCode).toBe(200);
  });

  it('does not begin for those who ask for the head alone', async () => {
    await appended(database, 'thing:a', 1);
    const head = request({ host: '127.0.0.1', port, path: '/v1/events/stream', method: 'HEAD' }).end();
    const [answer] = (await once(head, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    await until(async () => (await openStreams()) === 0);
  });

  it('ends with the service, in order for those who listen, and at once for those who do not', async () => {
    await startAnother();
    streams.farewell = 100;
    await appended(database, 'thing:a', 3_000, 'x'.repeat(5_000));
    const follower = await follow('?after=end');
    const deaf = connect(port, '127.0.0.1').pause();
    deaf.on('error', () => undefined);
    deaf.write('GET /v1/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until(async () => (await openStreams()) === 2);
    const stopped = stopGracefully(app);
    await stopped;
    await until(() => follower.ended !== undefined);
    expect(follower.ended).toBe('complete');
    deaf.destroy();
  });

  it('and the pages refuse what they do not understand', async () => {
    await written('thing:a', 1);
    for (const path of ['/v1/events', '/v1/events/stream'])
      for (const [query, code] of [
        ['?after=x', 'invalid-cursor'],
        ['?after=', 'invalid-request'],
        [`?after=${'x'.repeat(600)}`, 'invalid-request'],
        ['?after=end&after=end', 'invalid-request'],
        ['?types=allocation.allocated.v2', 'invalid-request'],
        ['?types=', 'invalid-request'],
        ['?types=allocation.allocated.v1,', 'invalid-request'],
        ['?types=%00', 'invalid-request'],
        ['?since=1', 'invalid-request'],
      ] as const) {
        const answer = await app.inject(`${path}${query}`);
        expect([path, query, answer.statusCode, answer.json<{ code: string }>().code]).toEqual([
          path,
          query,
          400,
          code,
        ]);
      }
    for (const limit of ['0', '1001', '-1', 'x', '1.5'])
      expect((await app.inject(`/v1/events?limit=${limit}`)).statusCode).toBe(400);
    const forged = await app.inject({ url: '/v1/events/stream', headers: { 'last-event-id': 'x' } });
    expect([forged.statusCode, forged.json<{ code: string }>().code]).toEqual([400, 'invalid-cursor']);
    const { next } = (await app.inject('/v1/events')).json<{ next: string }>();
    await database.query({ text: 'DELETE FROM platform.event' });
    const gone = await app.inject(`/v1/events?after=${next}`);
    expect([gone.statusCode, gone.json<{ code: string }>().code]).toEqual([410, 'cursor-gone']);
  });

  describe('on the command line', () => {
    const run = async (...args: string[]): Promise<{ out: string[]; notes: string[]; ended: Promise<number> }> => {
      const out: string[] = [];
      const notes: string[] = [];
      const terminal = { out: (line: string) => out.push(line), note: (line: string) => notes.push(line) } as never;
      const ended = app.get(EventsCommand, { strict: false }).run(args, terminal);
      return Promise.resolve({ out, notes, ended });
    };

    it('is one event a line, and a cursor to go on behind', async () => {
      await written('thing:a', 2_300);
      const { out, notes, ended } = await run();
      expect(await ended).toBe(0);
      expect(out).toHaveLength(2_300);
      expect(JSON.parse(out[0]!)).toMatchObject({ specversion: '1.0', subject: 'a', version: 1 });
      const cursor = /^Go on with --after (\S+)$/.exec(notes[0]!)![1]!;
      await written('thing:b', 1);
      const next = await run('--after', cursor);
      await next.ended;
      expect(next.out.map((line) => (JSON.parse(line) as CloudEvent).subject)).toEqual(['b']);
      const none = await run('--types', 'allocation.allocated.v1');
      expect([await none.ended, none.out.length, none.notes.length]).toEqual([0, 0, 1]);
    });

    it('follows until it is interrupted', async () => {
      await written('thing:a', 2);
      const { out, notes, ended } = await run('--follow');
      await until(() => out.length === 2);
      await appended(database, 'thing:a', 1);
      await until(() => out.length === 3);
      process.emit('SIGINT');
      expect(await ended).toBe(0);
      expect(notes).toEqual([expect.stringContaining('--after')]);
    });

    it('says which types there are', async () => {
      const { ended } = await run('--types', 'nothing');
      await expect(ended).rejects.toThrow(UsageError);
      await expect(ended).rejects.toThrow('allocation.allocated.v1');
    });
  });

  // The last one: where there has been a key, services refuse those without.
  it('ends when its credential is revoked', async () => {
    await startAnother();
    let now = 1e6;
    app.get(ApiKeys).now = () => now;
    const out: string[] = [];
    const terminal = { out: (line: string) => out.push(line), note: () => undefined } as never;
    const keys = app.get(KeysCommand, { strict: false });
    await keys.run(['create', 'reader', '--scopes', 'events:read'], terminal);
    now += 6_000;
    const follower = await follow('', { authorization: `Bearer ${out[0]}` });
    expect(follower.answer.statusCode).toBe(200);
    expect((await app.inject('/v1/events')).statusCode).toBe(401);
    await keys.run(['revoke', out[0]!.slice(0, 15)], terminal);
    now += 6_000;
    await app.get(UnfinishedAnswers).look();
    await until(() => follower.ended !== undefined);
    expect(follower.ended).toBe('cut off');
  });
});
