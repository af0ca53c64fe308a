import { Logger } from '@nestjs/common';
import type { Connection, Database } from '../../src/platform/database/database';
import { modules } from '../../src/app.module';
import { migrate } from '../../src/platform/database/migrate';
import { LogSignal } from '../../src/platform/event-log/log-signal';
import type { Position, StoredEvent } from '../../src/platform/event-log/stored-event';
import { CursorGone, cursorOf } from '../../src/platform/feed/event-cursor';
import { EventFeed } from '../../src/platform/feed/event-feed';
import { LogWatch } from '../../src/platform/feed/log-watch';
import { encodeCursor, InvalidCursor } from '../../src/platform/http/cursor';
import { freshDatabase, type TestDatabase } from '../support/database';
import { append, appended, deliverable, inOrder, wholeLog } from '../support/relay-world';
import { until } from '../support/replica';

const keyOf = ({ stream, version }: StoredEvent): string => `${stream}/${version}`;

/** Numbers from 0 on that look random, and are the same in every run. */
const numbers = (seed: number) => (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return Math.floor((seed / 2 ** 31) * below);
};

describe('The event feed', () => {
  let test: TestDatabase;
  let database: Database;
  let feed: EventFeed;
  let signal: LogSignal;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(async () => {
    test = await freshDatabase();
    database = await test.connect();
    signal = new LogSignal();
    feed = new EventFeed(database, new LogWatch(signal));
  });
  afterEach(() => test.drop());

  /** Reads page after page, by cursors as a client would, until it has so many events. */
  async function readAll(wanted: () => number, limit: number, types?: readonly string[]): Promise<string[]> {
    const got: string[] = [];
    let cursor: string | undefined;
    await until(async () => {
      const { at } = await feed.start(cursor);
      const { events, last } = await feed.read(at, limit, types);
      got.push(...events.map(keyOf));
      if (last) cursor = cursorOf(last);
      return got.length >= wanted();
    }, 20_000);
    return got;
  }

  async function followAll(wanted: () => number, types?: readonly string[]): Promise<string[]> {
    const got: string[] = [];
    const ending = new AbortController();
    const { at } = await feed.start(undefined);
    for await (const { events } of feed.follow(at, types, ending.signal)) {
      got.push(...events.map(keyOf));
      if (got.length >= wanted()) ending.abort();
    }
    return got;
  }

  it.each([1, 2])(
    'shows every event once and in order while eight write and commit in any order (seed %i)',
    async (seed) => {
      const random = numbers(seed);
      const rounds = 25;
      let total = Number.POSITIVE_INFINITY;
      /** Some transactions stay open for long after they have written, while those behind them commit. */
      const writer = async (name: number): Promise<void> => {
        for (let round = 0; round < rounds; round += 1)
          await database.transaction(async (transaction: Connection) => {
            await append(transaction, `thing:${name}`, 1 + random(3));
            const milliseconds = random(5) === 0 ? 60 : random(3);
            await transaction.query({ text: 'SELECT pg_sleep($1::float8 / 1000)' }, [milliseconds]);
            if (random(2) === 0) await append(transaction, `other:${name}`, 1);
          });
      };
      const writing = Promise.all(Array.from({ length: 8 }, (_, name) => writer(name))).then(async () => {
        total = (await wholeLog(database)).length;
      });
      const readers = [
        readAll(() => total, 7),
        readAll(() => total, 3, ['test.happened.v1']),
        followAll(() => total),
        followAll(() => total, ['test.happened.v1']),
      ];
      await writing;
      const log = await wholeLog(database);
      for (const got of await Promise.all(readers)) {
        expect([...got].sort()).toEqual(log);
        expect(inOrder(got)).toBe(true);
      }
    },
    60_000,
  );

  it('finds rare types behind any number of others, page by page, and some of those may be empty', async () => {
    await appended(database, 'thing:1', 6_000);
    await appended(database, 'thing:2', 3);
    await appended(database, 'thing:1', 10);
    await database.query({ text: `UPDATE platform.event SET type = 'test.rare.v1' WHERE stream = 'thing:2'` });
    await deliverable(database);
    const pages: number[] = [];
    const found: string[] = [];
    let at: Position = (await feed.start(undefined)).at;
    for (let more = true; more;) {
      const page = await feed.read(at, 2, ['test.rare.v1']);
      pages.push(page.events.length);
      found.push(...page.events.map(keyOf));
      at = page.last ?? at;
      more = page.more;
    }
    expect(found).toEqual(['thing:2/1', 'thing:2/2', 'thing:2/3']);
    expect(pages[0]).toBe(0);
    expect(pages.at(-1)).toBe(0);
    expect(await feed.read(at, 2)).toEqual({ events: [], last: undefined, more: false });
  });

  it('goes on by itself when it is far behind, and is read once for all who follow at the end', async () => {
    await appended(database, 'thing:1', 1_500);
    await deliverable(database);
    let statements = 0;
    const counted = Object.assign(Object.create(database) as Database, {
      query: (...args: Parameters<Database['query']>) => {
        statements += 1;
        return database.query(...args);
      },
    });
    const many = new EventFeed(counted, new LogWatch(signal));
    const endings = Array.from({ length: 50 }, () => new AbortController());
    const { at } = await many.start('end');
    const got = endings.map(() => [] as string[]);
    const following = got.map(async (keys, n) => {
      for await (const { events } of many.follow(at, undefined, endings[n]!.signal)) keys.push(...events.map(keyOf));
    });
    await appended(database, 'thing:2', 1);
    await until(() => got.every((keys) => keys.length === 1));
    const before = statements;
    for (let n = 0; n < 20; n += 1) {
      await appended(database, 'thing:2', 1);
      signal.announce();
    }
    await until(() => got.every((keys) => keys.length === 21));
    // Fifty that each read for themselves would have asked a thousand times.
    expect(statements - before).toBeLessThan(200);
    for (const ending of endings) ending.abort();
    await Promise.all(following);
    expect((await followAll(() => 1_521)).length).toBe(1_521);
  });

  describe('has cursors that', () => {
    it('begin behind their event, at the end, or at the first event', async () => {
      expect(await feed.start('end')).toMatchObject({ cursor: null });
      await appended(database, 'thing:1', 3);
      await deliverable(database);
      const { at: first, cursor: none } = await feed.start(undefined);
      expect(none).toBeNull();
      const { events } = await feed.read(first, 10);
      const { at } = await feed.start(cursorOf(events[1]!));
      expect((await feed.read(at, 10)).events.map(keyOf)).toEqual(['thing:1/3']);
      expect((await feed.start('end')).cursor).toBe(cursorOf(events[2]!));
    });

    it('go on in a log that was restored into another cluster, whose places are others', async () => {
      for (let n = 0; n < 5; n += 1) await appended(database, `thing:${n % 2}`, 2);
      await deliverable(database);
      const { events } = await feed.read((await feed.start(undefined)).at, 4);
      const cursor = cursorOf(events.at(-1)!);
      await database.query({ text: `UPDATE platform.event SET transaction_id = '9000000000'` });
      await migrate(test.url, modules);
      await appended(database, 'thing:new', 1);
      await deliverable(database);
      const { at } = await feed.start(cursor);
      expect(at.transactionId).toBe('0');
      const rest = (await feed.read(at, 100)).events;
      expect([...events, ...rest].map(keyOf).sort()).toEqual(await wholeLog(database));
    });

    it('are gone where the log was restored from before their event, even if another has its place now', async () => {
      await appended(database, 'thing:1', 2);
      await deliverable(database);
      const { events } = await feed.read((await feed.start(undefined)).at, 10);
      const cursor = cursorOf(events[1]!);
      await database.query({ text: `DELETE FROM platform.event WHERE version = 2` });
      await expect(feed.start(cursor)).rejects.toThrow(CursorGone);
      await appended(database, 'thing:1', 1);
      await expect(feed.start(cursor)).rejects.toThrow(CursorGone);
    });

    it('are refused unless this service could have made them', async () => {
      const id = '0199f4b3-0a77-7d10-9b3e-6a1f0c2d4e5f';
      for (const forged of [
        'x',
        encodeCursor({ transactionId: '1', position: '1' }),
        encodeCursor({ stream: 'a\u0000b', version: 1, id }),
        encodeCursor({ stream: 'thing:1', version: 1e300, id }),
        encodeCursor({ stream: 'thing:1', version: 1, id: "' OR 1=1 --" }),
        encodeCursor({ version: 1, stream: 'thing:1', id }),
        encodeCursor({ stream: 'thing:1', version: 1, id, more: true }),
      ])
        await expect(feed.start(forged)).rejects.toThrow(InvalidCursor);
    });
  });
});
