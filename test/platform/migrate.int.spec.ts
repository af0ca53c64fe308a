import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { modules } from '../../src/app.module';
import { PlatformModule } from '../../src/platform/platform.module';
import { migrate, Migrations, requireCurrentSchema, SchemaMismatch } from '../../src/platform/database/migrate';
import { until } from '../support/replica';

class First1900000000001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE first (id int)');
  }
  async down(): Promise<void> {}
}

class Second1900000000002 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE second (id int)');
    // Waits while a test holds the lock: a migration that is half done.
    await queryRunner.query('SELECT pg_advisory_xact_lock(4711)');
  }
  async down(): Promise<void> {}
}

@Migrations(First1900000000001)
class OldModule {}

@Migrations(First1900000000001, Second1900000000002)
class NewModule {}

/** The same service, before and after a module was given a second migration. */
const oldVersion = [PlatformModule, OldModule];
const newVersion = [PlatformModule, NewModule];

describe('Migrating', () => {
  let server: Client;
  let client: Client;
  let name: string;
  let url: string;

  beforeAll(async () => {
    server = new Client({ connectionString: `${process.env.TEST_DATABASE_SERVER}batchwise` });
    await server.connect();
  });
  afterAll(() => server.end());
  beforeEach(async () => {
    jest.spyOn(console, 'log').mockImplementation(); // TypeORM tells of migrations that failed.
    name = `migrate_${randomUUID().replaceAll('-', '')}`;
    url = `${process.env.TEST_DATABASE_SERVER}${name}`;
    await server.query(`CREATE DATABASE ${name} STRATEGY file_copy`);
    client = new Client({ connectionString: url });
    await client.connect();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await client.end();
    await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  const tables = async (): Promise<string[]> => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    );
    return rows.map((row) => row.name);
  };
  const waitsHalfDone = async (): Promise<boolean> => {
    const { rowCount } = await client.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%4711%' AND wait_event = 'advisory'`,
    );
    return rowCount! > 0;
  };

  it('brings an empty database to the schema of all modules, which is then the current one', async () => {
    await migrate(url, modules);
    await expect(requireCurrentSchema(url, modules)).resolves.toBeUndefined();
  });

  it('finds nothing to do the second time', async () => {
    expect(await migrate(url, newVersion)).toEqual(
      expect.arrayContaining(['First1900000000001', 'Second1900000000002']),
    );
    expect(await migrate(url, newVersion)).toEqual([]);
  });

  it('adds what a newer version brings', async () => {
    await migrate(url, oldVersion);
    expect(await migrate(url, newVersion)).toEqual(['Second1900000000002']);
    expect(await tables()).toEqual(['first', 'schema_migration', 'second']);
  });

  it('is done once by several at the same time', async () => {
    const ran = await Promise.all(Array.from({ length: 4 }, () => migrate(url, modules)));
    const [first, ...others] = ran.sort((a, b) => b.length - a.length);
    expect(first!.length).toBeGreaterThanOrEqual(2);
    expect(others).toEqual([[], [], []]);
  });

  it('leaves nothing when it is killed halfway, and works the next time', async () => {
    await client.query('SELECT pg_advisory_lock(4711)');
    const migration = migrate(url, newVersion);
    const failure = expect(migration).rejects.toThrow();
    await until(waitsHalfDone);
    await client.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%4711%'`,
    );
    await failure;
    expect(await tables()).not.toContain('first');
    await client.query('SELECT pg_advisory_unlock(4711)');
    expect(await migrate(url, newVersion)).toContain('First1900000000001');
    await requireCurrentSchema(url, newVersion);
  });

  it('leaves nothing when its process loses every session, and works the next time', async () => {
    await client.query('SELECT pg_advisory_lock(4711)');
    const failure = expect(migrate(url, newVersion)).rejects.toThrow();
    await until(waitsHalfDone);
    await client.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    await failure;
    await client.query('SELECT pg_advisory_unlock(4711)');
    expect(await tables()).not.toContain('first');
    expect(await migrate(url, newVersion)).toContain('First1900000000001');
  });

  describe('a service of a certain version refuses to work on', () => {
    it('an empty database, and says how to help', async () => {
      const refusal = requireCurrentSchema(url, oldVersion);
      await expect(refusal).rejects.toBeInstanceOf(SchemaMismatch);
      await expect(refusal).rejects.toThrow(/First1900000000001.*MIGRATE_ON_START/);
    });

    it('a database that lacks a migration, and names it', async () => {
      await migrate(url, oldVersion);
      await expect(requireCurrentSchema(url, newVersion)).rejects.toThrow(/lacks Second1900000000002/);
    });

    it('a database of a newer version, and names what it does not know', async () => {
      await migrate(url, newVersion);
      await expect(requireCurrentSchema(url, oldVersion)).rejects.toThrow(/another version.*Second1900000000002/);
    });
  });
});
