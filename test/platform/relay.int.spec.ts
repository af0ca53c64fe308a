import { randomInt } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Database } from '../../src/platform/database/database';
import { DeadLetters } from '../../src/platform/event-log/parked-events';
import { freshDatabase, type TestDatabase } from '../support/database';
import { line } from '../support/allocation-commands';
import {
  append,
  appended,
  createModel,
  expectedRows,
  forgetEverything,
  impatient,
  inOrder,
  keyOf,
  modelRows,
  reactionOf,
  Recorder,
  relayOf,
  type RunningRelay,
  Things,
  wholeLog,
} from '../support/relay-world';
import { replicaOver, until } from '../support/replica';

describe('The relay', () => {
  let test: TestDatabase;
  let database: Database;
  let other: Database;
  const running: RunningRelay[] = [];
  const closing: (() => void)[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await freshDatabase();
    database = await test.connect();
    other = await test.connect();
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const close of closing.splice(0)) close();
    await Promise.all(running.splice(0).map(({ relay }) => relay.stop()));
    await forgetEverything(database);
  });
  afterAll(() => test.drop());

  const start = (...args: Parameters<typeof relayOf>): RunningRelay => {
    const one = relayOf(...args);
    running.push(one);
    one.relay.start();
    return one;
  };

  const has = (recorder: { got: string[] }, count: number) => until(() => recorder.got.length >= count);

  describe('reads the log', () => {
    it('and misses nothing of 24 writers that commit late, and keeps the order of every stream', async () => {
      await createModel(database);
      const recorder = new Recorder();
      start(database, [recorder, new Things()]);
      const streams = Array.from({ length: 40 }, (_, n) => `thing:${n}`);
      const write = async (): Promise<void> => {
        const connection = await other.connect();
        for (let n = 0; n < 10; n += 1) {
          const both = [streams[randomInt(20)]!, streams[20 + randomInt(20)]!];
          await connection.query({ text: 'BEGIN' });
          // All locks before the first write, as the unit of work has it: they give the transaction no id.
          for (const stream of both) {
            await connection.query({ text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' }, [stream]);
          }
          await append(connection, both[0]!, 1 + randomInt(3));
          for (let late = randomInt(30); late > 0; late -= 1) await connection.query({ text: 'SELECT 1' });
          await append(connection, both[1]!);
          await connection.query({ text: n % 7 === 6 ? 'ROLLBACK' : 'COMMIT' });
        }
        connection.release();
      };
      // A pool has 20 connections.
      const third = await test.connect();
      const writeShortly = async (): Promise<void> => {
        for (let n = 0; n < 10; n += 1) await appended(third, streams[randomInt(40)]!);
      };
      const late = Array.from({ length: 18 }, write);
      const writers = [...late, ...Array.from({ length: 6 }, writeShortly)];
      await Promise.all(writers);

      const log = await wholeLog(database);
      await has(recorder, log.length);
      expect([...recorder.got].sort()).toEqual(log);
      expect(inOrder(recorder.got)).toBe(true);
      const rows = await expectedRows(database);
      await until(async () => (await modelRows(database)).reduce((sum, { times }) => sum + times, 0) >= log.length);
      expect(await modelRows(database)).toEqual(rows);
    });

    it('and keeps the order of every SKU where groups of several SKUs come from two replicas', async () => {
      const recorder = new Recorder();
      start(database, [recorder]);
      const replicas = [replicaOver(database), replicaOver(other)];
      const skus = Array.from({ length: 6 }, (_, n) => `SKU-${n}`);
      await Promise.all(skus.map((sku) => replicas[0]!.createBatch(`batch-${sku}`, sku, 1_000)));
      const orders = Array.from({ length: 300 }, (_, n) => {
        const chosen = skus.filter(() => randomInt(3) === 0);
        const lines = (chosen.length > 0 ? chosen : [skus[n % 6]!]).map((sku, at) => line(`o${n}`, sku, 1, `${at}`));
        return replicas[n % 2]!.allocateOrder(`o${n}`, lines);
      });
      await Promise.all(orders);
      await Promise.all(replicas.map(({ unitOfWork }) => unitOfWork.close()));

      const log = await wholeLog(database);
      await has(recorder, log.length);
      expect([...recorder.got].sort()).toEqual(log);
      expect(inOrder(recorder.got)).toBe(true);
    });

    it('and waits for a transaction that is open anywhere, shows it, and goes on when it ends', async () => {
      const recorder = new Recorder();
      const { metric, signal } = start(database, [recorder]);
      await appended(database, 'thing:before');
      await has(recorder, 1);
      const foreign = await (await test.connect()).connect();
      closing.push(() => foreign.destroy());
      await foreign.query({ text: 'BEGIN' });
      await append(foreign, 'thing:late');
      for (const n of [1, 2, 3]) await appended(other, `thing:${n}`);
      signal.announce();
      await until(async () => (await metric('batchwise_oldest_writing_transaction_seconds'))! > 0.3);
      expect(await metric('batchwise_subscriber_lag_events', 'recorder')).toBe(3);
      expect(await metric('batchwise_subscriber_lag_seconds', 'recorder')).toBeGreaterThan(0.2);
      expect(recorder.got).toEqual(['thing:before/1']);

      await foreign.query({ text: 'COMMIT' });
      await has(recorder, 5);
      expect(recorder.got).toEqual(['thing:before/1', 'thing:late/1', 'thing:1/1', 'thing:2/1', 'thing:3/1']);
      await until(async () => (await metric('batchwise_subscriber_lag_events', 'recorder')) === 0);
      expect(await metric('batchwise_subscriber_lag_seconds', 'recorder')).toBe(0);
      // Other suites write to the same server.
      await until(async () => (await metric('batchwise_oldest_writing_transaction_seconds'))! < 0.3);
    });

    it('at once when this process has written, and soon when another one has', async () => {
      const recorder = new Recorder();
      const { signal } = start(database, [recorder]);
      const tenRounds = async (announce: () => void): Promise<number> => {
        const began = performance.now();
        for (let n = 0; n < 10; n += 1) {
          const before = recorder.got.length;
          await appended(other, 'thing:fast');
          announce();
          while (recorder.got.length === before) await new Promise((resolve) => setImmediate(resolve));
        }
        return performance.now() - began;
      };
      await tenRounds(() => undefined);
      const announced: number[] = [];
      for (let n = 0; n < 3; n += 1) announced.push(await tenRounds(() => signal.announce()));
      // A look every 50 ms alone would take 400 ms at least, one every 500 ms alone 4 s.
      expect(Math.min(...announced)).toBeLessThan(350);
      expect(await tenRounds(() => undefined)).toBeLessThan(3_000);
    });

    it('from where it was after a stop, and shows a subscriber only what it asks for', async () => {
      const first = new Recorder();
      const { relay } = start(database, [first, reactionOf('nothing-for-me', 'skip', () => undefined)]);
      await appended(database, 'thing:1', 3);
      await has(first, 3);
      await relay.stop();
      await appended(database, 'thing:1', 2);
      const second = new Recorder();
      start(database, [second]);
      await has(second, 2);
      expect(second.got).toEqual(['thing:1/4', 'thing:1/5']);
    });
  });

  describe('where a reaction fails', () => {
    const poisonous = (got: string[], isPoison: (key: string) => boolean, tries?: string[]) => (event: object) => {
      const key = keyOf((event as { origin: { stream: string; version: number } }).origin);
      tries?.push(key);
      if (isPoison(key)) throw new Error(`cannot digest ${key}\0`);
      got.push(key);
    };

    it('parks its stream for it alone, and drains it in order once the cause is gone', async () => {
      const [got, fine]: [string[], string[]] = [[], []];
      let broken = true;
      const subscribers = [
        reactionOf(
          'breaks',
          'block',
          poisonous(got, (key) => broken && key === 'thing:poison/2'),
        ),
        reactionOf(
          'works',
          'block',
          poisonous(fine, () => false),
        ),
      ];
      const { metric, relay } = start(database, subscribers, {
        attempts: { max: 1_000, wait: () => 0.05 },
      });
      for (const stream of ['thing:poison', 'thing:a', 'thing:b']) await appended(database, stream, 4);
      await until(() => got.length === 9 && fine.length === 12);
      await appended(database, 'thing:poison', 2);
      await appended(database, 'thing:a');
      await until(() => got.includes('thing:a/5') && fine.length === 15);
      expect(got.filter((key) => key.startsWith('thing:poison'))).toEqual(['thing:poison/1']);
      await until(async () => (await metric('batchwise_subscriber_parked_events', 'breaks')) === 5);
      expect(await metric('batchwise_subscriber_parked_events', 'works')).toBe(0);

      broken = false;
      await until(() => got.length === 15);
      expect(inOrder(got)).toBe(true);
      await until(async () => (await metric('batchwise_subscriber_parked_events', 'breaks')) === 0);
      await appended(database, 'thing:poison');
      await until(() => got.length === 16);
      await relay.stop();
    });

    it('makes a dead letter after the last attempt, behind which a blocking subscriber waits', async () => {
      const got: string[] = [];
      const tries: string[] = [];
      let broken = true;
      const reaction = reactionOf(
        'breaks',
        'block',
        poisonous(got, (key) => broken && key === 'thing:poison/1', tries),
      );
      const { metric } = start(database, [reaction], { attempts: impatient(4) });
      await appended(database, 'thing:poison', 3);
      await until(async () => (await DeadLetters.list(database)).length > 0);
      const [letter] = await DeadLetters.list(database);
      expect(letter).toMatchObject({
        subscriber: 'breaks',
        stream: 'thing:poison',
        version: 1,
        attempts: 4,
        type: 'test.happened.v1',
        error: 'cannot digest thing:poison/1',
      });
      await appended(database, 'thing:other');
      await until(() => got.includes('thing:other/1'));
      await appended(database, 'thing:poison');
      await until(async () => (await metric('batchwise_subscriber_parked_events', 'breaks')) === 3);
      expect(await metric('batchwise_subscriber_dead_letters', 'breaks')).toBe(1);
      expect(got).toEqual(['thing:other/1']);
      expect(tries.filter((key) => key.startsWith('thing:poison'))).toEqual(Array(4).fill('thing:poison/1'));

      broken = false;
      expect(await DeadLetters.replay(database, letter!.id)).toBe(true);
      expect(await DeadLetters.replay(database, letter!.id)).toBe(false);
      await until(() => got.length === 5);
      expect(got.slice(1)).toEqual([1, 2, 3, 4].map((version) => `thing:poison/${version}`));
      expect(await DeadLetters.list(database)).toEqual([]);
    });

    it('goes on behind a dead letter that was discarded, or where it is to be skipped', async () => {
      const blocked: string[] = [];
      const skipping: string[] = [];
      const isPoison = (key: string): boolean => key === 'thing:poison/2';
      start(database, [
        reactionOf('blocks', 'block', poisonous(blocked, isPoison)),
        reactionOf('skips', 'skip', poisonous(skipping, isPoison)),
      ]);
      await appended(database, 'thing:poison', 4);
      await until(() => skipping.length === 3);
      await appended(database, 'thing:poison');
      await until(() => skipping.length === 4);
      expect(skipping).toEqual([1, 3, 4, 5].map((version) => `thing:poison/${version}`));
      await until(async () => (await DeadLetters.list(database)).length === 2);
      expect(blocked).toEqual(['thing:poison/1']);

      const letters = await DeadLetters.list(database);
      expect(await DeadLetters.discard(database, letters.find((one) => one.subscriber === 'blocks')!.id)).toBe(true);
      await until(() => blocked.length === 4);
      expect(blocked).toEqual([1, 3, 4, 5].map((version) => `thing:poison/${version}`));
      expect((await DeadLetters.list(database)).map(({ subscriber }) => subscriber)).toEqual(['skips']);
      expect(await DeadLetters.list(database, 100, letters.at(-1)!.id)).toEqual([]);
    });

    it('has an event again whose checkpoint was lost with the connection', async () => {
      const got: string[] = [];
      await database.query({ text: `INSERT INTO platform.subscriber (name) VALUES ('reacts')` });
      const holder = await test.client();
      const watcher = await test.client();
      let hold = async (): Promise<void> => {
        hold = () => Promise.resolve();
        await holder.query('BEGIN');
        await holder.query(`SELECT 1 FROM platform.subscriber WHERE name = 'reacts' FOR UPDATE`);
      };
      start(database, [
        reactionOf('reacts', 'skip', async (event) => {
          await hold();
          got.push(keyOf(event.origin!));
        }),
      ]);
      await appended(other, 'thing:1', 2);
      const blocked = `
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE platform.subscriber%' AND datname = current_database()`;
      await until(async () => (await watcher.query(blocked)).rowCount! > 0);
      await holder.query('COMMIT');
      await until(() => got.length >= 4);
      expect(got).toEqual(['thing:1/1', 'thing:1/2', 'thing:1/1', 'thing:1/2']);
    });
  });

  describe('where a publisher fails', () => {
    it('waits for what it publishes to, loses nothing and keeps the order', async () => {
      const recorder = new Recorder();
      let outage = true;
      let attempts = 0;
      recorder.before = () => {
        attempts += 1;
        if (outage) throw new Error('out of reach');
      };
      const { metric } = start(database, [recorder]);
      for (let n = 0; n < 30; n += 1) await appended(database, `thing:${n % 5}`);
      await until(() => attempts > 10);
      await until(async () => (await metric('batchwise_subscriber_failures_total', 'recorder'))! > 1);
      expect(await metric('batchwise_subscriber_parked_events', 'recorder')).toBe(0);
      outage = false;
      await has(recorder, 30);
      expect(recorder.got).toHaveLength(30);
      expect(inOrder(recorder.got)).toBe(true);
    });

    it('parks a poison stream among healthy ones', async () => {
      const recorder = new Recorder();
      let broken = true;
      recorder.before = (events) => {
        if (broken && events.some(({ stream }) => stream === 'thing:poison')) throw new Error('poison');
      };
      start(database, [recorder], { attempts: { max: 1_000, wait: () => 0.05 } });
      for (let n = 0; n < 5; n += 1) {
        await database.transaction(async (transaction) => {
          for (const stream of ['thing:a', 'thing:poison', 'thing:z']) await append(transaction, stream, 2);
        });
      }
      await has(recorder, 20);
      expect(recorder.got).toHaveLength(20);
      broken = false;
      await has(recorder, 30);
      expect(recorder.got).toHaveLength(30);
      expect(inOrder(recorder.got)).toBe(true);
    });

    it('lets no stream stand in the way that fills a whole batch with poison', async () => {
      const recorder = new Recorder();
      recorder.before = (events) => {
        if (events.some(({ stream }) => stream === 'thing:poison')) throw new Error('poison');
      };
      await appended(database, 'thing:poison', 700);
      await appended(database, 'thing:a', 2);
      start(database, [recorder]);
      await until(() => recorder.got.includes('thing:a/2'));
      expect(new Set(recorder.got)).toEqual(new Set(['thing:a/1', 'thing:a/2']));
      await until(async () => (await DeadLetters.list(database)).length === 1);
    });
  });

  describe('on two replicas', () => {
    it('has each subscriber worked by one of them, and by the other one after a stop', async () => {
      await createModel(database);
      const recorders = [new Recorder(), new Recorder()];
      const both = [database, other].map((pool, n) => start(pool, [recorders[n]!, new Things()]));
      for (let n = 0; n < 20; n += 1) await appended(database, `thing:${n % 3}`);
      await until(() => recorders.some(({ got }) => got.length === 20));
      const first = recorders.findIndex(({ got }) => got.length === 20);
      expect(recorders[1 - first]!.got).toEqual([]);
      await both[first]!.relay.stop();
      for (let n = 0; n < 20; n += 1) await appended(database, `thing:${n % 3}`);
      await has(recorders[1 - first]!, 20);
      expect(inOrder([...recorders[first]!.got, ...recorders[1 - first]!.got])).toBe(true);
      await until(
        async () => JSON.stringify(await modelRows(database)) === JSON.stringify(await expectedRows(database)),
      );
    });

    it('asks seldom where the other one has the lease, however much is written', async () => {
      const recorders = [new Recorder(), new Recorder()];
      const asked = jest.spyOn(other, 'query');
      start(database, [recorders[0]!]);
      await appended(database, 'thing:1');
      await has(recorders[0]!, 1);
      const began = performance.now();
      start(other, [recorders[1]!]);
      for (let n = 0; n < 100; n += 1) await appended(database, 'thing:1');
      await has(recorders[0]!, 101);
      const leases = asked.mock.calls.filter(([{ name }]) => name === 'subscriber-take').length;
      expect(leases).toBeGreaterThan(0);
      expect(leases).toBeLessThanOrEqual(2 + (performance.now() - began) / 900);
    });

    it('keeps the lease while a handler is slow', async () => {
      let letGo: () => void = () => undefined;
      const slow = new Promise<void>((resolve) => (letGo = resolve));
      const got: string[][] = [[], []];
      const relays = [database, other].map((pool, n) =>
        relayOf(
          pool,
          [
            reactionOf('slow', 'block', async (event) => {
              got[n]!.push(keyOf(event.origin!));
              await slow;
            }),
          ],
          { leaseSeconds: 0.6 },
        ),
      );
      running.push(...relays);
      relays[0]!.relay.start();
      await appended(database, 'thing:1', 3);
      await until(() => got[0]!.length === 1);
      relays[1]!.relay.start();
      const lease = async () =>
        (
          await database.query<{ until: string; owner: string }>({
            text: 'SELECT lease_until::text AS until, owner FROM platform.subscriber',
          })
        )[0]!;
      const seen = new Map<string, string>();
      await until(async () => {
        const { until: time, owner } = await lease();
        seen.set(time, owner);
        return seen.size >= 8;
      });
      expect(new Set(seen.values()).size).toBe(1);
      letGo();
      await until(() => got[0]!.length === 3);
      expect(got[1]).toEqual([]);
    });
  });
});
