import { Logger } from '@nestjs/common';
import type { Database } from '../../src/platform/database/database';
import type { Position, StoredEvent } from '../../src/platform/event-log/stored-event';
import { RecentEvents } from '../../src/platform/event-log/recent-events';
import { freshDatabase, type TestDatabase } from '../support/database';
import {
  appended,
  deliverable,
  keyOf,
  reactionOf,
  Recorder,
  relayOf,
  type RunningRelay,
  wholeLog,
} from '../support/relay-world';
import { until } from '../support/replica';

const start: Position = { transactionId: '0', position: '0' };
const keys = (events: readonly StoredEvent[]): string[] => events.map(keyOf);

describe('The end of the log', () => {
  let test: TestDatabase;
  let database: Database;
  let running: RunningRelay | undefined;

  beforeAll(() => Logger.overrideLogger(false));

  beforeEach(async () => {
    test = await freshDatabase();
    database = await test.connect();
  });

  afterEach(async () => {
    await running?.relay.stop();
    await test.drop();
  });

  /** Other suites write on the same server, and hold up what can be delivered. */
  const append = async (stream: string, count = 1): Promise<void> => {
    await appended(database, stream, count);
    await deliverable(database);
  };

  const reads = (asked: jest.SpyInstance<unknown, Parameters<Database['query']>>): number =>
    asked.mock.calls.filter(([{ name }]) => name === 'event-log-after').length;

  it('is read once for all that ask together, and for those that follow', async () => {
    await append('thing:1', 10);
    const log = new RecentEvents(database);
    const asked = jest.spyOn(database, 'query');
    const [first, ...others] = await Promise.all(Array.from({ length: 5 }, () => log.after(start)));
    expect(keys(first!)).toHaveLength(10);
    for (const other of others) expect(keys(other)).toEqual(keys(first!));
    expect(keys(await log.after(first![3]!))).toEqual(keys(first!).slice(4));
    expect(keys(await log.after(first![8]!))).toEqual(['thing:1/10']);
    expect(reads(asked)).toBe(1);
  });

  it('is asked of the database by whoever has read all of it, even while another one asks', async () => {
    await append('thing:1', 3);
    const log = new RecentEvents(database);
    const end = (await log.after(start)).at(-1)!;
    expect(await log.after(end)).toEqual([]);
    await append('thing:1');
    expect(keys(await log.after(end))).toEqual(['thing:1/4']);

    // A read that was sent before something was written is not shared with who asks after it.
    const answers: Promise<readonly StoredEvent[]>[] = [];
    const query = database.query.bind(database);
    jest.spyOn(database, 'query').mockImplementationOnce(async (...args: Parameters<Database['query']>) => {
      const rows = await query(...args);
      await append('thing:1');
      answers.push(log.after(last));
      return rows;
    });
    const last = (await log.after(end)).at(-1)!;
    expect(await log.after(last)).toEqual([]);
    expect(keys(await answers[0]!)).toEqual(['thing:1/5']);
  });

  it('says the same to everyone who follows it, near or far, as the log does', async () => {
    const log = new RecentEvents(database);
    await appended(database, 'thing:old', 1_200);
    const readers = Array.from({ length: 6 }, (_, n) => ({ every: n + 1, at: start, got: [] as string[] }));
    const read = async (reader: (typeof readers)[number]): Promise<number> => {
      const events = await log.after(reader.at);
      reader.at = events.at(-1) ?? reader.at;
      reader.got.push(...keys(events));
      return events.length;
    };
    const writing = (async () => {
      for (let n = 0; n < 40; n += 1)
        await Promise.all([1, 2, 3].map((stream) => appended(database, `thing:${stream}`, 1 + ((n * stream) % 40))));
    })();
    let written = false;
    void writing.then(() => (written = true));
    for (let round = 0; !written; round += 1)
      await Promise.all(readers.filter(({ every }) => round % every === 0).map(read));
    await deliverable(database);
    for (const reader of readers) while ((await read(reader)) > 0);

    const all = await wholeLog(database);
    expect([...readers[0]!.got].sort()).toEqual(all);
    for (const { got } of readers) expect(got).toEqual(readers[0]!.got);
  });

  it('is read for six subscribers at little more than the cost of one', async () => {
    const recorders = Array.from({ length: 6 }, (_, n) => new Recorder(`recorder-${n}`));
    running = relayOf(database, recorders);
    running.relay.start();
    await appended(database, 'thing:1');
    await until(() => recorders.every(({ got }) => got.length === 1));
    const asked = jest.spyOn(database, 'query');
    await appended(database, 'thing:1', 5_000);
    await until(() => recorders.every(({ got }) => got.length === 5_001));
    const pages = asked.mock.results
      .filter((_, n) => asked.mock.calls[n]![0].name === 'event-log-after')
      .map(({ value }) => value as Promise<unknown[]>);
    const rows = (await Promise.all(pages)).reduce((sum, page) => sum + page.length, 0);
    expect(rows).toBeLessThan(3 * 5_000);
  });

  it('is passed by at next to no cost where nobody wants what it holds', async () => {
    const wanting = new Recorder();
    const uninterested = Object.assign(new Recorder('uninterested'), {
      events: [
        class {
          static type = 'test.never.v1';
        },
      ],
    });
    running = relayOf(database, [wanting, uninterested, reactionOf('reacts', 'skip', () => undefined)]);
    const { relay, metric } = running;
    relay.start();
    await appended(database, 'thing:1');
    await until(() => wanting.got.length === 1);
    const asked = jest.spyOn(database, 'query');
    const began = performance.now();
    for (let n = 0; n < 100; n += 1) {
      await appended(database, 'thing:1');
      await until(() => wanting.got.length === n + 2);
    }
    const moves = asked.mock.calls.filter(
      ([{ name }, values]) => name === 'subscriber-advance' && values![0] === 'uninterested',
    );
    expect(moves.length).toBeLessThanOrEqual(2 + (performance.now() - began) / 200);
    await until(async () => (await metric('batchwise_subscriber_lag_events', 'uninterested')) === 0);
  });
});
