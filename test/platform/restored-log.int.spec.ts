import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { modules } from '../../src/app.module';
import { Database } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import {
  binariesOf,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/platform/database/embedded-postgres';
import { migrate, requireCurrentSchema } from '../../src/platform/database/migrate';
import { freshDatabase, type TestDatabase } from '../support/database';
import {
  append,
  appended,
  createModel,
  expectedRows,
  inOrder,
  modelRows,
  Recorder,
  relayOf,
  Things,
  wholeLog,
} from '../support/relay-world';
import { until } from '../support/replica';

const isThere = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const hasTools = isThere('pg_dump') && isThere('psql');
const withTools = hasTools || process.env.BATCHWISE_CI === '1' ? it : it.skip;

describe('A log that was restored into another cluster', () => {
  const closing: (() => unknown)[] = [];

  beforeAll(() => Logger.overrideLogger(false));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const logInOrder = async (database: Database): Promise<string[]> =>
    (
      await database.query<{ key: string }>({
        text: `SELECT stream || '/' || version AS key FROM platform.event ORDER BY transaction_id, event.position`,
      })
    ).map(({ key }) => key);

  /** Delivers some of a log, to the one further than to the other, and leaves a dead letter and events for nobody yet. */
  const live = async (database: Database): Promise<string[]> => {
    await createModel(database);
    const recorder = new Recorder();
    const things = new Things();
    things.before = ({ stream, version }) => {
      if (stream === 'thing:poison' && version === 2) throw new Error('a mistake');
    };
    const early = relayOf(database, [things]);
    early.relay.start();
    for (let n = 0; n < 7; n += 1) await appended(database, `thing:${n % 3}`, 2);
    await appended(database, 'thing:poison', 3);
    await until(async () => (await early.metric('batchwise_subscriber_dead_letters', 'things')) === 1);
    await early.relay.stop();
    // The ids of these transactions are the other way round than their places.
    const first = await database.connect();
    await first.query({ text: 'BEGIN' });
    await first.query({ text: 'SELECT pg_current_xact_id()' });
    await appended(database, 'thing:behind', 2);
    await append(first, 'thing:before', 2);
    await first.query({ text: 'COMMIT' });
    first.release();
    const late = relayOf(database, [recorder]);
    late.relay.start();
    await until(() => recorder.got.length === 21);
    await late.relay.stop();
    await appended(database, 'thing:0', 3);
    return recorder.got;
  };

  /** Goes on after the restore: nothing twice, nothing missed. */
  const goesOn = async (database: Database, got: readonly string[]): Promise<void> => {
    const recorder = new Recorder();
    const { relay, metric } = relayOf(database, [recorder, new Things()]);
    closing.push(() => relay.stop());
    relay.start();
    await until(() => recorder.got.length >= 3);
    for (let n = 0; n < 5; n += 1) await appended(database, `thing:${n}`, 2);
    const log = await wholeLog(database);
    await until(() => got.length + recorder.got.length >= log.length);
    expect([...got, ...recorder.got].sort()).toEqual(log);
    expect(inOrder([...got, ...recorder.got])).toBe(true);
    await database.query({ text: 'UPDATE platform.parked_event SET dead_at = NULL, next_attempt_at = now()' });
    await until(async () => JSON.stringify(await modelRows(database)) === JSON.stringify(await expectedRows(database)));
    expect(await metric('batchwise_subscriber_lag_events', 'things')).toBe(0);
  };

  describe('with transaction ids far ahead', () => {
    let test: TestDatabase;

    beforeEach(async () => {
      test = await freshDatabase();
      closing.push(() => test.drop());
    });

    it('is refused, then renumbered by migrate, and delivered on from where everybody was', async () => {
      const database = await test.connect();
      const got = await live(database);
      const order = await logInOrder(database);
      for (const table of ['event', 'subscriber']) {
        const ahead = `(transaction_id::text::bigint + 5000000000)::text::xid8`;
        await database.query({ text: `UPDATE platform.${table} SET transaction_id = ${ahead}` });
      }
      await expect(requireCurrentSchema(test.url, modules)).rejects.toThrow('restored from another server');
      await migrate(test.url, modules);
      await requireCurrentSchema(test.url, modules);
      expect(await logInOrder(database)).toEqual(order);
      expect(await database.query({ text: 'SELECT DISTINCT transaction_id::text AS id FROM platform.event' })).toEqual([
        { id: '0' },
      ]);
      await goesOn(database, got);
      expect(order).toEqual((await logInOrder(database)).slice(0, order.length));
    });

    it('is renumbered a second time where it was restored twice, and left alone where it fits', async () => {
      const database = await test.connect();
      await appended(database, 'thing:1', 2);
      await migrate(test.url, modules);
      const [row] = await database.query<{ id: string }>({
        text: 'SELECT max(transaction_id)::text AS id FROM platform.event',
      });
      expect(row!.id).not.toBe('0');
      for (const stream of ['thing:2', 'thing:3']) {
        await database.query({
          text: `UPDATE platform.event SET transaction_id = '9000000000' WHERE transaction_id <> '0'`,
        });
        await migrate(test.url, modules);
        await appended(database, stream, 2);
      }
      expect(await logInOrder(database)).toEqual([1, 2, 3].flatMap((n) => [`thing:${n}/1`, `thing:${n}/2`]));
    });
  });

  withTools('goes on after pg_dump and psql', async () => {
    const run = promisify(execFile);
    const directory = mkdtempSync(join(tmpdir(), 'batchwise-restore-'));
    chmodSync(directory, 0o755);
    closing.push(() => rmSync(directory, { recursive: true, force: true }));
    const cluster = async (name: string): Promise<EmbeddedPostgres> => {
      const settings = { fsync: 'off', synchronous_commit: 'off' };
      const postgres = await startEmbeddedPostgres(join(directory, name), settings, binariesOf('embedded-postgres-15'));
      closing.push(() => postgres.stop());
      return postgres;
    };
    const connect = async (url: string): Promise<Database> => {
      const source = await new DataSource(dataSourceOptions(url)).initialize();
      closing.push(() => source.destroy());
      return new Database(source);
    };
    const [from, into] = await Promise.all([cluster('from'), cluster('into')]);
    await migrate(from.url(), modules);
    const old = await connect(from.url());
    // A server that has lived for a while.
    await old.query({
      text: `DO $$ BEGIN FOR n IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`,
    });
    const got = await live(old);
    const dump = join(directory, 'dump.sql');
    await run('pg_dump', ['--no-owner', '--file', dump, from.url()]);
    await run('psql', ['--quiet', '--set', 'ON_ERROR_STOP=1', '--file', dump, into.url()]);

    await expect(requireCurrentSchema(into.url(), modules)).rejects.toThrow('restored from another server');
    await migrate(into.url(), modules);
    await requireCurrentSchema(into.url(), modules);
    await goesOn(await connect(into.url()), got);
  });
});
