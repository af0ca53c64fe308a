import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { DataSource, type MigrationInterface } from 'typeorm';
import { isRestoredLog, renumberRestoredLog } from '../event-log/restored-log';
import { Database } from './database';
import { dataSourceOptions } from './data-source-options';

type MigrationClass = new () => MigrationInterface;

const key = 'batchwise:migrations';
const placesKey = 'batchwise:places-in-log';

/** Names a module's migrations, oldest first. A TypeORM migration's class name ends in the time of its making. */
export const Migrations =
  (...migrations: MigrationClass[]): ClassDecorator =>
  (module) =>
    Reflect.defineMetadata(key, migrations, module);

/**
 * Names a module's tables that remember places in the event log, as `transaction_id` and `position`: in a log that is
 * restored from another server all places change.
 */
export const PlacesInLog =
  (...tables: string[]): ClassDecorator =>
  (module) =>
    Reflect.defineMetadata(placesKey, tables, module);

const placesOf = (modules: readonly Type[]): string[] =>
  modules.flatMap((module) => (Reflect.getMetadata(placesKey, module) as string[] | undefined) ?? []);

const migrationsOf = (modules: readonly Type[]): MigrationClass[] =>
  modules.flatMap((module) => (Reflect.getMetadata(key, module) as MigrationClass[] | undefined) ?? []);

/** The database is not in the state that this version of the modules was written for. */
export class SchemaMismatch extends Error {}

async function withDataSource<T>(url: string, modules: readonly Type[], use: (source: DataSource) => Promise<T>) {
  const source = new DataSource({
    ...dataSourceOptions(url, { timeouts: false }),
    migrations: migrationsOf(modules),
    migrationsTableName: 'schema_migration',
  });
  await source.initialize();
  try {
    return await use(source);
  } finally {
    await source.destroy();
  }
}

/**
 * Brings a database to the schema of the modules, in one transaction, and gives a log that was restored from another server
 * places that fit this one. One process at a time; whoever comes second finds nothing left to do.
 * @returns the names of the migrations that ran
 */
export async function migrate(url: string, modules: readonly Type[]): Promise<string[]> {
  return withDataSource(url, modules, async (source) => {
    const lock = source.createQueryRunner();
    try {
      await lock.query(`SELECT pg_advisory_lock(hashtext('batchwise:migrate'))`);
      const ran = await source.runMigrations({ transaction: 'all' });
      const database = new Database(source);
      const places = placesOf(modules);
      if (await isRestoredLog(database, places))
        await database.transaction((transaction) => renumberRestoredLog(transaction, places));
      return ran.map((migration) => migration.name);
    } finally {
      await lock.query(`SELECT pg_advisory_unlock(hashtext('batchwise:migrate'))`).catch(() => undefined);
      await lock.release();
    }
  });
}

/** @throws SchemaMismatch if a migration is missing in the database, or the database has one that is not known here */
export async function requireCurrentSchema(url: string, modules: readonly Type[]): Promise<void> {
  await withDataSource(url, modules, async (source) => {
    const known = new Set(migrationsOf(modules).map((migration) => migration.name));
    const [{ exists }] = await source.query<[{ exists: boolean }]>(
      `SELECT to_regclass('schema_migration') IS NOT NULL AS exists`,
    );
    const rows = exists ? await source.query<{ name: string }[]>('SELECT name FROM schema_migration') : [];
    const applied = new Set(rows.map((row) => row.name));
    const missing = [...known].filter((name) => !applied.has(name));
    const foreign = [...applied].filter((name) => !known.has(name));
    if (missing.length > 0) {
      throw new SchemaMismatch(
        `the database lacks ${missing.join(', ')}: run batchwise migrate, or set MIGRATE_ON_START=true`,
      );
    }
    if (foreign.length > 0) {
      throw new SchemaMismatch(`the database is of another version of Batchwise: it has ${foreign.join(', ')}`);
    }
    if (await isRestoredLog(new Database(source), placesOf(modules))) {
      throw new SchemaMismatch(
        'the database was restored from another server: run batchwise migrate, or set MIGRATE_ON_START=true',
      );
    }
  });
}
