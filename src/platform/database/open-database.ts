import type { Type } from '@nestjs/common';
import type { Config } from '../config';
import { startEmbeddedPostgres } from './embedded-postgres';
import { migrate, requireCurrentSchema } from './migrate';
import { requireFitServer } from './require-fit-server';

/** The database that the configuration leads to, up and fit to be used. */
export interface OpenDatabase {
  readonly url: string;
  /** Gives up what this process holds of it: the embedded server stops with the last process that uses it. */
  close(): Promise<void>;
}

/**
 * Brings up the embedded PostgreSQL, or finds the one of `DATABASE_URL`, and migrates it where that is ours to do.
 * @throws UnfitServer, SchemaMismatch, or what the database says
 */
export async function openDatabase(config: Config, modules: readonly Type[]): Promise<OpenDatabase> {
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const url = config.databaseUrl ?? embedded!.url();
  const close = async (): Promise<void> => embedded?.stop();
  try {
    await requireFitServer(url, config);
    if (embedded || config.migrateOnStart) await migrate(url, modules);
    else await requireCurrentSchema(url, modules);
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
