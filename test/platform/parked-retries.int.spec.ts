import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { Overloaded } from '../../src/kernel/unit-of-work';
import type { Database } from '../../src/platform/database/database';
import { Checkpoint } from '../../src/platform/event-log/checkpoints';
import { type Desk, failedRun } from '../../src/platform/event-log/delivery';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { DeadLetters, ParkedEvents } from '../../src/platform/event-log/parked-events';
import { ProjectionDelivery } from '../../src/platform/event-log/projection-delivery';
import { Fenced } from '../../src/platform/lease';
import { freshDatabase, type TestDatabase } from '../support/database';
import {
  append,
  appended,
  deliverable,
  createModel,
  expectedRows,
  forgetEverything,
  type Happened,
  impatient,
  inOrder,
  keyOf,
  modelRows,
  reactionOf,
  Recorder,
  relayOf,
  type RunningRelay,
  Things,
} from '../support/relay-world';
import { until } from '../support/replica';

describe('Parked events', () => {
  let test: TestDatabase;
  let database: Database;
  let running: RunningRelay | undefined;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await freshDatabase();
    database = await test.connect();
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await running?.relay.stop();
    await forgetEverything(database);
  });
  afterAll(() => test.drop());

  const start = (...args: Parameters<typeof relayOf>): RunningRelay => {
    running = relayOf(...args);
    running.relay.start();
    return running;
  };

  const patient = { max: 1_000, wait: () => 0.05 };
  const parkedCount = async (): Promise<number> =>
    (await database.query<{ n: number }>({ text: 'SELECT count(*)::int AS n FROM platform.parked_event' }))[0]!.n;
  const keyOfEvent = (event: Happened): string => keyOf(event.origin!);
  const ofStream = (got: readonly string[], stream: string): string[] => got.filter((key) => key.startsWith(stream));

  it('are tried beside the others, who do not wait for a handler that hangs', async () => {
    const got: string[] = [];
    let tries = 0;
    let letGo: () => void = () => undefined;
    const hanging = new Promise<void>((resolve) => (letGo = resolve));
    start(
      database,
      [
        reactionOf('hangs', 'block', async (event) => {
          const key = keyOfEvent(event);
          if (key === 'thing:slow/1') {
            tries += 1;
            if (tries === 1) throw new Error('not now');
            await hanging;
          }
          got.push(key);
        }),
      ],
      { attempts: patient },
    );
    await appended(database, 'thing:slow', 2);
    await until(() => tries === 2);
    for (let n = 0; n < 5; n += 1) {
      await appended(database, 'thing:quick');
      await appended(database, 'thing:slow');
      await until(() => ofStream(got, 'thing:quick').length === n + 1);
    }
    expect(ofStream(got, 'thing:slow')).toEqual([]);
    letGo();
    await until(() => got.length === 12);
    expect(inOrder(got)).toBe(true);
    await until(async () => (await parkedCount()) === 0);
    await appended(database, 'thing:slow');
    await until(() => got.length === 13);
    expect(tries).toBe(2);
  });

  it('keep the order of a stream that is written to while it is drained, again and again', async () => {
    const got: string[] = [];
    let broken = true;
    let fails = 0;
    start(
      database,
      [
        reactionOf('stumbles', 'block', (event) => {
          const key = keyOfEvent(event);
          if (broken || (event.origin!.version % 7 === 0 && (fails += 1) % 2 === 1)) throw new Error('stumbles');
          got.push(key);
        }),
        new Recorder(),
      ],
      { attempts: { max: 1_000, wait: () => 0 } },
    );
    await appended(database, 'thing:hot', 30);
    await until(async () => (await parkedCount()) === 30);
    broken = false;
    for (let n = 0; n < 60; n += 1) await appended(database, 'thing:hot', 1 + (n % 3));
    await until(() => got.length === 150);
    expect(inOrder(got)).toBe(true);
    await until(async () => (await parkedCount()) === 0);
  });

  it('of a hot stream are drained in runs', async () => {
    const recorder = new Recorder();
    const batches: number[] = [];
    let broken = true;
    recorder.before = (events) => {
      if (broken && events.some(({ stream }) => stream === 'thing:hot')) throw new Error('broken');
      batches.push(events.length);
    };
    start(database, [recorder], { attempts: patient });
    await database.transaction(async (transaction) => {
      await append(transaction, 'thing:hot', 400);
      await append(transaction, 'thing:other');
    });
    await until(async () => (await parkedCount()) === 400);
    batches.length = 0;
    broken = false;
    await until(() => recorder.got.length >= 401);
    expect(inOrder(recorder.got)).toBe(true);
    expect(batches).toEqual([100, 100, 100, 100]);
  });

  it('of a projection are counted once, up to the one that fails by itself', async () => {
    await createModel(database);
    const things = new Things();
    let broken = true;
    things.before = ({ stream, version }) => {
      if (stream === 'thing:hot' && (version === 140 || broken)) throw new Error(`cannot digest ${version}`);
    };
    start(database, [things], { attempts: { max: 3, wait: () => 0.2 } });
    await database.transaction(async (transaction) => {
      await append(transaction, 'thing:hot', 250);
      await append(transaction, 'thing:other');
    });
    await until(async () => (await parkedCount()) === 250);
    broken = false;
    await until(async () => (await DeadLetters.list(database)).length === 1);
    const [letter] = await DeadLetters.list(database);
    expect(letter).toMatchObject({ version: 140, error: 'cannot digest 140' });
    expect(await modelRows(database)).toMatchObject([
      { stream: 'thing:hot', version: 139, times: 139, steps: 139 },
      { stream: 'thing:other', version: 1 },
    ]);

    things.before = () => undefined;
    await DeadLetters.replay(database, letter!.id);
    await until(async () => (await parkedCount()) === 0);
    expect(await modelRows(database)).toEqual(await expectedRows(database));
  });

  it('of a projection are counted once though two replicas are at them, or somebody took them away', async () => {
    await createModel(database);
    const delivery = new ProjectionDelivery(new Things());
    const deskOf = (owner: string): Desk => {
      const checkpoint = new Checkpoint('things', owner, 0.05);
      const parked = new ParkedEvents('things', 'block', patient);
      return { database, checkpoint, parked, parkedStreams: new Set(), mayGoOn: () => checkpoint.requireHeld() };
    };
    const [stopped, taker] = [deskOf(randomUUID()), deskOf(randomUUID())];
    await appended(database, 'thing:1', 2);
    await deliverable(database);
    const run = await readAfter(database, { transactionId: '0', position: '0' }, 10);
    await stopped.checkpoint.lease(database);
    await stopped.parked.park(database, failedRun(run, new Error('not now')));
    await until(async () => (await taker.checkpoint.lease(database)) !== undefined);
    await expect(delivery.redeliver(stopped, run)).rejects.toThrow(Fenced);
    expect(await delivery.redeliver(taker, run)).toEqual({ delivered: 2 });
    await until(async () => (await stopped.checkpoint.lease(database)) !== undefined);
    // It has the lease again, but not the events.
    await expect(delivery.redeliver(stopped, run)).rejects.toThrow(Fenced);
    expect(await modelRows(database)).toEqual([{ stream: 'thing:1', version: 2, times: 2, steps: 2 }]);
  });

  it('are not asked for before their time has come, however much is delivered', async () => {
    const got: string[] = [];
    start(
      database,
      [
        reactionOf('fails', 'block', (event) => {
          if (event.origin!.stream === 'thing:poison') throw new Error('poison');
          got.push(keyOfEvent(event));
        }),
      ],
      { attempts: { max: 3, wait: () => 3_600 } },
    );
    await appended(database, 'thing:poison');
    await until(async () => (await parkedCount()) === 1);
    const asked = jest.spyOn(database, 'query');
    const began = performance.now();
    for (let n = 0; n < 30; n += 1) {
      await appended(database, 'thing:fine');
      await until(() => got.length === n + 1);
    }
    const looks = asked.mock.calls.filter(([{ name }]) => name?.startsWith('parked-')).length;
    expect(looks).toBeLessThanOrEqual(2 + (performance.now() - began) / 1_000);
  });

  describe('are not made by an outage', () => {
    it('where all of several streams fail for a reaction', async () => {
      const got: string[] = [];
      let outage = true;
      let tries = 0;
      const { metric } = start(database, [
        reactionOf('depends', 'block', (event) => {
          tries += 1;
          if (outage) throw new Error('nobody answers');
          got.push(keyOfEvent(event));
        }),
      ]);
      await database.transaction(async (transaction) => {
        for (const stream of ['thing:a', 'thing:b', 'thing:c']) await append(transaction, stream, 3);
      });
      await until(() => tries >= 12);
      await until(async () => (await metric('batchwise_subscriber_failures_total', 'depends'))! > 2);
      expect(await parkedCount()).toBe(0);
      outage = false;
      await until(() => got.length === 9);
      expect(inOrder(got)).toBe(true);
    });

    it('but by those that fail while another stream gets through', async () => {
      const got: string[] = [];
      start(database, [
        reactionOf('poisoned', 'block', (event) => {
          if (event.origin!.stream !== 'thing:fine') throw new Error('poison');
          got.push(keyOfEvent(event));
        }),
      ]);
      await database.transaction(async (transaction) => {
        // More than a page of poison, so that the fine one is only met by looking for it.
        for (const stream of ['thing:a', 'thing:b']) await append(transaction, stream, 300);
        await append(transaction, 'thing:fine');
      });
      await until(async () => (await DeadLetters.list(database)).length === 2);
      await until(() => got.at(-1) === 'thing:fine/1');
      expect(new Set(got)).toEqual(new Set(['thing:fine/1']));
    });

    it('and those that only meet an overloaded service never die of it', async () => {
      const got: string[] = [];
      let tries = 0;
      let overloaded = true;
      start(
        database,
        [
          reactionOf('commands', 'block', (event) => {
            if (overloaded && event.origin!.stream === 'thing:busy') {
              tries += 1;
              throw new Overloaded();
            }
            got.push(keyOfEvent(event));
          }),
        ],
        { attempts: impatient(3) },
      );
      await database.transaction(async (transaction) => {
        await append(transaction, 'thing:busy', 2);
        await append(transaction, 'thing:fine');
      });
      await until(() => tries >= 10);
      expect(await DeadLetters.list(database)).toEqual([]);
      overloaded = false;
      await until(() => got.length === 3);
      expect(ofStream(got, 'thing:busy')).toEqual(['thing:busy/1', 'thing:busy/2']);
    });
  });
});
