import { Logger } from '@nestjs/common';
import { type Database, sqlState } from '../../src/platform/database/database';
import { rebuild, RebuildFailed } from '../../src/platform/event-log/rebuild';
import { freshDatabase, type TestDatabase } from '../support/database';
import {
  appended,
  createModel,
  expectedRows,
  forgetEverything,
  keyOf,
  modelRows,
  relayOf,
  type RunningRelay,
  Things,
} from '../support/relay-world';
import { until } from '../support/replica';

describe('A rebuild of a projection', () => {
  let test: TestDatabase;
  let database: Database;
  let other: Database;
  let running: RunningRelay;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await freshDatabase();
    database = await test.connect();
    other = await test.connect();
  });

  beforeEach(async () => {
    await createModel(database);
    running = relayOf(database, [new Things()]);
    running.relay.start();
  });

  afterEach(async () => {
    await running.relay.stop();
    await forgetEverything(database);
  });
  afterAll(() => test.drop());

  const isRight = async (): Promise<boolean> =>
    JSON.stringify(await modelRows(database)) === JSON.stringify(await expectedRows(database));

  const shape = async () => [
    await database.query({ text: `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'model' ORDER BY 1` }),
    await database.query({
      text: `
        SELECT conname, conrelid::regclass::text AS of, pg_get_constraintdef(oid) AS def FROM pg_constraint
        WHERE connamespace = 'model'::regnamespace ORDER BY 1, 2`,
    }),
    await database.query({
      text: `
        SELECT table_name, column_name, data_type, is_nullable, is_identity FROM information_schema.columns
        WHERE table_schema = 'model' ORDER BY 1, 2`,
    }),
    await database.query({ text: `SELECT nspname FROM pg_namespace WHERE nspname LIKE '%rebuild%'` }),
  ];

  it('brings equal rows under load, while the live ones are read and go on', async () => {
    for (let n = 0; n < 20; n += 1) await appended(other, `thing:${n}`, 40);
    await until(isRight);
    // Damage that only a rebuild can mend.
    await database.query({ text: `UPDATE model.thing SET times = times + 7 WHERE stream = 'thing:3'` });
    const before = await shape();

    let writing = true;
    let written = 0;
    let longestRead = 0;
    let versionSeen = 0;
    // No faster than the live projection.
    const write = async (): Promise<void> => {
      for (; writing; written += 1) {
        const stream = `thing:${20 + (written % 5)}`;
        await appended(other, stream);
        await appended(other, `thing:${written % 20}`);
        const lag = {
          text: `SELECT 1 FROM model.thing WHERE stream = $1 AND version = (SELECT max(version) FROM platform.event WHERE stream = $1)`,
        };
        await until(async () => (await other.query(lag, [stream])).length > 0 || !writing);
      }
    };
    const read = async (): Promise<void> => {
      while (writing) {
        const began = performance.now();
        const [row] = await other.query<{ version: number }>({
          text: `SELECT version::float8 AS version FROM model.thing WHERE stream = 'thing:0'`,
        });
        longestRead = Math.max(longestRead, performance.now() - began);
        // The read model never goes back in time.
        expect(row!.version).toBeGreaterThanOrEqual(versionSeen);
        versionSeen = row!.version;
      }
    };
    const load = Promise.all([read(), write()]);
    const progress: number[] = [];
    const slow = new Things();
    const atLeast = 8;
    slow.before = async () => {
      // The rebuild is still under way while at least so much is written.
      if (progress.length === 0) await until(() => written >= atLeast);
    };
    try {
      await rebuild(database, slow, ({ events, total }) => {
        expect(events).toBeLessThanOrEqual(total);
        progress.push(events);
      });
      await until(() => written > 2 * atLeast);
      await rebuild(database, new Things());
    } finally {
      writing = false;
    }
    await load;

    await until(isRight);
    expect(progress.length).toBeGreaterThan(1);
    expect(longestRead).toBeLessThan(5_000);
    expect(await shape()).toEqual(before);
    await until(async () => (await running.metric('batchwise_subscriber_lag_events', 'things')) === 0);
  });

  it('keeps the projection from going on while it adds the last events', async () => {
    await appended(other, 'thing:1', 3);
    await until(isRight);
    const things = new Things();
    let isHeld: Promise<unknown> | undefined;
    things.before = async ({ stream, version }) => {
      // Behind what its transaction can see.
      if (keyOf({ stream, version }) === 'thing:1/3') await appended(other, 'thing:last');
      const lock = { text: `SELECT 1 FROM platform.subscriber WHERE name = 'things' FOR UPDATE NOWAIT` };
      if (stream === 'thing:last') isHeld = other.query(lock).catch(sqlState);
      await isHeld;
    };
    await rebuild(database, things);
    expect(await isHeld).toBe('55P03');
    await until(isRight);
  });

  it('leaves the live tables as they were if it fails', async () => {
    await appended(database, 'thing:1', 5);
    await until(isRight);
    const before = [await modelRows(database), await shape()];
    const broken = new Things();
    broken.before = ({ version }) => {
      if (version === 3) throw new Error('a new mistake');
    };
    await expect(rebuild(database, broken)).rejects.toThrow(
      new RebuildFailed('things cannot project thing:1 version 1: Error: a new mistake'),
    );
    expect([await modelRows(database), await shape()]).toEqual(before);
    await appended(database, 'thing:1');
    await until(isRight);
  });

  it('can be run again after it was killed halfway, and while it runs not twice', async () => {
    for (const stream of ['thing:1', 'thing:2']) await appended(database, stream, 300);
    await until(isRight);
    const killer = await test.client();
    const killed = new Things();
    let second: Promise<void> | undefined;
    killed.before = async ({ stream, version }, transaction) => {
      if (stream !== 'thing:2' || version !== 200) return;
      second = rebuild(database, new Things());
      await expect(second).rejects.toThrow('another rebuild');
      const [row] = await transaction.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' });
      await killer.query('SELECT pg_terminate_backend($1)', [row!.pid]);
    };
    await expect(rebuild(database, killed)).rejects.toThrow();
    expect(second).toBeDefined();
    expect((await shape())[3]).toHaveLength(1);
    await appended(database, 'thing:3');
    await until(isRight);

    await rebuild(database, new Things());
    await until(isRight);
    expect((await shape())[3]).toEqual([]);
  });

  it('takes out what was parked, which it has projected', async () => {
    await running.relay.stop();
    let broken = true;
    const things = new Things();
    things.before = ({ stream }) => {
      if (broken && stream === 'thing:poison') throw new Error('a mistake');
    };
    running = relayOf(database, [things]);
    running.relay.start();
    for (const stream of ['thing:poison', 'thing:fine']) await appended(database, stream, 3);
    await until(async () => (await running.metric('batchwise_subscriber_dead_letters', 'things')) === 1);
    broken = false;
    await rebuild(database, new Things());
    expect(await isRight()).toBe(true);
    await appended(database, 'thing:poison', 2);
    await until(isRight);
    expect(await database.query({ text: 'SELECT * FROM platform.parked_event' })).toEqual([]);
  });
});
