import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DiscoveryModule, DiscoveryService, NestFactory } from '@nestjs/core';
import type { Client } from 'pg';
import { AppModule } from '../../src/app.module';
import { DomainEvent } from '../../src/kernel/event';
import { Config } from '../../src/platform/config';
import type { Queryable } from '../../src/platform/database/database';
import { readAfter } from '../../src/platform/event-log/event-log-reader';
import { rebuild } from '../../src/platform/event-log/rebuild';
import type { StoredEvent } from '../../src/platform/event-log/stored-event';
import { Projection } from '../../src/platform/event-log/subscriber';
import { Invariant } from '../../src/platform/verify/invariant';
import { logInvariants } from '../../src/platform/verify/log-invariants';
import { ProjectionsEqualAFreshFold } from '../../src/platform/verify/projections-equal-a-fresh-fold';
import { verify } from '../../src/platform/verify/verify';
import { allocationCorruptions } from '../allocation/corruptions';
import { importCorruptions } from '../inventory/import-corruptions';
import { thresholdCorruptions } from '../inventory/threshold-corruptions';
import { notificationCorruptions } from '../notifications/corruptions';
import { webhookCorruptions } from '../notifications/webhook-corruptions';
import { brokenBy, waysToBreak } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { platformCorruptions } from './corruptions';

class Counted extends DomainEvent<{ readonly amount: number }> {
  static override readonly type = 'test.counted.v1';
}

/** The sum of what each stream has counted. */
class Sums extends Projection {
  readonly name = 'the-sums';
  readonly schema = 'test';
  readonly tables = ['sum'];
  readonly events = [Counted];
  before: () => unknown = () => undefined;

  async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
    await this.before();
    for (const { stream, data } of events) {
      if (data.amount === 13) throw new Error('an unlucky number');
      const text = `
        INSERT INTO sum (stream, amount) VALUES ($1, $2)
        ON CONFLICT (stream) DO UPDATE SET amount = sum.amount + excluded.amount`;
      await transaction.query({ text }, [stream, data.amount]);
    }
  }
}

describe('batchwise verify', () => {
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    // One transaction for each event, as two streams would write them in turn: a1 b1 a2 b2 a3 b3.
    await client.query(`
      INSERT INTO platform.event (stream, version, transaction_id, position, id, type, data, occurred_at, actor)
      SELECT 'order:' || name, version, ((version * 2 + place)::text)::xid8, version * 2 + place, gen_random_uuid(),
             'test.counted.v1', jsonb_build_object('amount', version * 10), '2026-01-01'::timestamptz + make_interval(secs => version), 'test'
      FROM generate_series(1, 3) AS version, (VALUES (0, 'a'), (1, 'b')) AS streams (place, name);
      INSERT INTO platform.subscriber (name, transaction_id, position) VALUES ('reader', '5', 5);
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('reader', 'order:b', 2, 1)`);
  });
  afterAll(() => db.drop());

  describe('of the log', () => {
    const all = logInvariants.map((invariant) => new invariant());

    it('finds nothing wrong with a log in order', async () => {
      for (const invariant of all) expect(await brokenBy('SELECT 1', invariant, client)).toEqual([]);
    });

    it.each(waysToBreak(platformCorruptions))('%s: sees that %s', async (name, _how, sql) => {
      const invariant = all.find((one) => one.name === name)!;
      expect(await brokenBy(sql, invariant, client)).not.toEqual([]);
    });
  });

  describe('of projections', () => {
    let context: INestApplicationContext;
    let invariant: Invariant;

    beforeAll(async () => {
      const config = Config.load({}).withDatabase(db.url);
      const module = Test.createTestingModule({
        imports: [DiscoveryModule],
        providers: [{ provide: Config, useValue: config }, Sums, ProjectionsEqualAFreshFold],
      });
      context = await module.compile();
      invariant = context.get(ProjectionsEqualAFreshFold);
      // As after b2, which is parked.
      await client.query(`
        CREATE SCHEMA test;
        CREATE TABLE test.sum (stream text PRIMARY KEY, amount integer NOT NULL);
        INSERT INTO platform.subscriber (name, transaction_id, position) VALUES ('the-sums', '5', 5);
        INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('the-sums', 'order:b', 2, 1);
        INSERT INTO test.sum VALUES ('order:a', 30), ('order:b', 10)`);
    });
    afterAll(() => context.close());

    const found = async (): Promise<string[]> => {
      for await (const { examples } of verify(db.url, [invariant])) return [...examples];
      return [];
    };
    const foundAfter = async (sql: string, undo: string): Promise<string[]> => {
      await client.query(sql);
      try {
        return await found();
      } finally {
        await client.query(undo);
      }
    };

    it('finds nothing wrong with one that has read a part of the log, and leaves nothing behind', async () => {
      expect(await found()).toEqual([]);
      const { rows } = await client.query(`SELECT FROM pg_namespace WHERE nspname LIKE 'test\\_%'`);
      expect(rows).toEqual([]);
    });

    it('sees a row that is not what the log says', async () => {
      const sql = (amount: number) => `UPDATE test.sum SET amount = ${amount} WHERE stream = 'order:a'`;
      const seen = await foundAfter(sql(31), sql(30));
      expect(seen.sort()).toEqual([
        'the-sums: test.sum has what the log does not say: (order:a,31)',
        'the-sums: test.sum lacks (order:a,30)',
      ]);
    });

    it('neither keeps new events from being delivered, nor lets a rebuild replace what it looks at', async () => {
      const sql = (amount: number) => `UPDATE test.sum SET amount = ${amount} WHERE stream = 'order:a'`;
      const database = await db.connect();
      await client.query(sql(31));
      try {
        const checking = invariant.check(database);
        // It has begun, and waits for us.
        expect(await (checking as AsyncGenerator<string>).next()).toMatchObject({ done: false });
        await client.query(`
          INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
          VALUES ('order:new', 1, gen_random_uuid(), 'test.counted.v1', '{"amount":1}', now(), 'test')`);
        await until(async () => {
          const events = await readAfter(database, { transactionId: '0', position: '0' }, 100);
          return events.some(({ stream }) => stream === 'order:new');
        });
        await expect(rebuild(database, new Sums())).rejects.toThrow('batchwise verify');
        await (checking as AsyncGenerator<string>).return(undefined);
      } finally {
        await client.query(sql(30));
        await client.query(`DELETE FROM platform.event WHERE stream = 'order:new'`);
      }
      expect(await found()).toEqual([]);
    });

    it('waits for a rebuild that is under way, and then looks at what that has made', async () => {
      const database = await db.connect();
      const sums = new Sums();
      let checked: Promise<string[]> | undefined;
      const waits = `
        SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
      sums.before = async () => {
        checked ??= found();
        await until(async () => (await client.query(waits)).rowCount === 1);
      };
      // What was parked is projected by a rebuild, and the rest of the log too.
      await rebuild(database, sums);
      expect(await checked).toEqual([]);
      const { rows } = await client.query<{ sum: string }>(`SELECT row::text AS sum FROM test.sum AS row ORDER BY 1`);
      expect(rows.map(({ sum }) => sum)).toEqual(['(order:a,60)', '(order:b,60)']);
      await client.query(`
        UPDATE platform.subscriber SET transaction_id = '5', position = 5 WHERE name = 'the-sums';
        INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('the-sums', 'order:b', 2, 1);
        DELETE FROM test.sum; INSERT INTO test.sum VALUES ('order:a', 30), ('order:b', 10)`);
    });

    it('sees a row that is missing, and one that is too many', async () => {
      const missing = `DELETE FROM test.sum WHERE stream = 'order:b'`;
      expect(await foundAfter(missing, `INSERT INTO test.sum VALUES ('order:b', 10)`)).toHaveLength(1);
      const extra = `INSERT INTO test.sum VALUES ('order:c', 1)`;
      expect(await foundAfter(extra, `DELETE FROM test.sum WHERE stream = 'order:c'`)).toHaveLength(1);
    });

    it('sees that what is read is not yet, or no longer, in the tables', async () => {
      const checkpoint = (at: number) =>
        `UPDATE platform.subscriber SET transaction_id = '${at}', position = ${at} WHERE name = 'the-sums'`;
      expect(await foundAfter(checkpoint(6), checkpoint(5))).toHaveLength(2);
      expect(await foundAfter(checkpoint(3), checkpoint(5))).toHaveLength(2);
    });

    it('sees an event that cannot be projected any more', async () => {
      const amount = (units: number) =>
        `UPDATE platform.event SET data = '{"amount":${units}}' WHERE stream = 'order:a' AND version = 1`;
      expect(await foundAfter(amount(13), amount(10))).toEqual(
        expect.arrayContaining(['the-sums cannot project order:a version 1: an unlucky number']),
      );
    });
  });

  it('has for each invariant of the application a way to break it', async () => {
    const config = Config.load({ LOG_LEVEL: 'silent' }).withDatabase(db.url);
    const app = await NestFactory.createApplicationContext(AppModule.forRoot(config), { logger: false });
    const providers = app.get(DiscoveryService).getProviders();
    const names = providers.flatMap(({ instance }) => (instance instanceof Invariant ? [instance.name] : []));
    await app.close();
    const broken = [
      platformCorruptions,
      allocationCorruptions,
      importCorruptions,
      thresholdCorruptions,
      notificationCorruptions,
      webhookCorruptions,
    ].flatMap((one) => Object.keys(one));
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
    expect(broken.sort()).toEqual(names.sort());
  });
});
