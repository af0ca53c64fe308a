import { mkdtempSync, rmSync, statfsSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { modules } from '../../src/app.module';
import { migrate } from '../../src/platform/database/migrate';
import { binariesOf, startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres';

/** Durability is for data that is kept. */
const fastAndForgetful = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
};

/** A PostgreSQL for the whole run, with a migrated template that every suite copies. */
export default async function globalSetup(): Promise<void> {
  const directory = mkdtempSync(join(fastFolder(), 'batchwise-test-'));
  chmodSync(directory, 0o755);
  const packageName = process.env.TEST_POSTGRES_PACKAGE ?? 'embedded-postgres';
  const postgres = await startEmbeddedPostgres(join(directory, 'data'), fastAndForgetful, binariesOf(packageName));
  const server = new Client({ connectionString: postgres.url() });
  await server.connect();
  await server.query('CREATE DATABASE batchwise_template');
  await server.end();
  await migrate(postgres.url('batchwise_template'), modules);
  process.env.TEST_DATABASE_SERVER = postgres.url('');
  (globalThis as { stopTestDatabase?: () => Promise<void> }).stopTestDatabase = async () => {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  };
}

function fastFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > 1e9) return '/dev/shm';
  } catch {
    // Not every system has one.
  }
  return tmpdir();
}
