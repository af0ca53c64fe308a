import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Database } from '../../src/platform/database/database';
import { Checkpoint } from '../../src/platform/event-log/checkpoints';
import type { Desk } from '../../src/platform/event-log/delivery';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { DeadLetters, ParkedEvents, patientAttempts } from '../../src/platform/event-log/parked-events';
import { ProjectionDelivery } from '../../src/platform/event-log/projection-delivery';
import { Fenced } from '../../src/platform/lease';
import { freshDatabase, type TestDatabase } from '../support/database';
import {
  append,
  appended,
  deliverable,
  createModel,
  expectedRows,
  modelRows,
  relayOf,
  type RunningRelay,
  Things,
} from '../support/relay-world';
import { until } from '../support/replica';

describe('A projection', () => {
  let test: TestDatabase;
  let database: Database;
  let things: Things;
  let running: RunningRelay;

  beforeAll(() => Logger.overrideLogger(false));

  beforeEach(async () => {
    test = await freshDatabase();
    database = await test.connect();
    await createModel(database);
    things = new Things();
    running = relayOf(database, [things]);
  });

  afterEach(async () => {
    await running.relay.stop();
    await test.drop();
  });

  const isRight = async (): Promise<boolean> =>
    JSON.stringify(await modelRows(database)) === JSON.stringify(await expectedRows(database));

  it('has the other streams of a batch projected exactly once beside a poison one, and is right after its replay', async () => {
    let broken = true;
    things.before = ({ stream, version }) => {
      if (broken && stream === 'thing:poison' && version === 2) throw new Error('cannot digest it');
    };
    await database.transaction(async (transaction) => {
      for (const stream of ['thing:a', 'thing:poison', 'thing:b', 'thing:a', 'thing:b', 'thing:poison']) {
        await append(transaction, stream, 3);
      }
    });
    running.relay.start();
    await until(async () => (await DeadLetters.list(database)).length === 1);
    const once = (stream: string, version: number) => ({ stream, version, times: version, steps: version });
    // What is before the poison in its run is undone with it.
    expect(await modelRows(database)).toEqual([once('thing:a', 6), once('thing:b', 6), once('thing:poison', 1)]);
    await appended(database, 'thing:a');
    await until(async () => (await modelRows(database))[0]!.version === 7);

    broken = false;
    const [letter] = await DeadLetters.list(database);
    expect(letter).toMatchObject({ stream: 'thing:poison', version: 2, error: 'cannot digest it' });
    await DeadLetters.replay(database, letter!.id);
    await until(isRight);
  });

  it('is tried again, and blames no event, where the server lacks something', async () => {
    let lacks = 3;
    things.before = async (_, transaction) => {
      if (lacks-- > 0) await transaction.query({ text: `DO $$ BEGIN RAISE SQLSTATE '53100'; END $$` });
    };
    await appended(database, 'thing:1', 3);
    running.relay.start();
    await until(isRight);
    expect(await running.metric('batchwise_subscriber_failures_total', 'things')).toBe(3);
    expect(await database.query({ text: 'SELECT * FROM platform.parked_event' })).toEqual([]);
  });

  it('counts every event once though its connections are killed', async () => {
    const killer = await test.client();
    let kills = 0;
    things.before = async ({ version }, transaction) => {
      if (version % 5 !== 0 || kills >= 4) return;
      kills += 1;
      const [{ pid } = { pid: 0 }] = await transaction.query<{ pid: number }>({
        text: 'SELECT pg_backend_pid() AS pid',
      });
      await killer.query('SELECT pg_terminate_backend($1)', [pid]);
    };
    for (let n = 0; n < 3; n += 1) await appended(database, `thing:${n}`, 11);
    running.relay.start();
    await until(isRight);
    expect(kills).toBe(4);
    expect(await database.query({ text: 'SELECT * FROM platform.parked_event' })).toEqual([]);
  });

  it('is fenced where another replica has taken its lease, even if that gave it back', async () => {
    await appended(database, 'thing:1', 3);
    const delivery = new ProjectionDelivery(things);
    const deskOf = (owner: string): Desk => {
      const checkpoint = new Checkpoint('things', owner, 0.05);
      const parked = new ParkedEvents('things', 'block', patientAttempts);
      return { database, checkpoint, parked, parkedStreams: new Set(), mayGoOn: () => checkpoint.requireHeld() };
    };
    const [stopped, taker] = [deskOf(randomUUID()), deskOf(randomUUID())];
    const at = (await stopped.checkpoint.lease(database))!;
    await deliverable(database);
    const events = await readAfter(database, at, 100);
    const deliver = (desk: Desk): Promise<void> => delivery.deliver(desk, events, at, events.at(-1)!);
    await until(async () => (await taker.checkpoint.lease(database)) !== undefined);
    expect(() => stopped.checkpoint.requireHeld()).toThrow(Fenced);
    await expect(deliver(stopped)).rejects.toThrow(Fenced);
    expect(await modelRows(database)).toEqual([]);

    await deliver(taker);
    await stopped.checkpoint.renew(database);
    expect(() => stopped.checkpoint.requireHeld()).toThrow(Fenced);
    await taker.checkpoint.release(database);
    await stopped.checkpoint.renew(database);
    expect(() => stopped.checkpoint.requireHeld()).toThrow(Fenced);
    expect(await stopped.checkpoint.lease(database)).not.toEqual(at);
    // It has the lease again, but not the place.
    await expect(deliver(stopped)).rejects.toThrow(Fenced);
    expect(await isRight()).toBe(true);
  });
});
