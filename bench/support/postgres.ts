import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { modules } from '../../src/app.module';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres';
import { migrate } from '../../src/platform/database/migrate';

export interface BenchPostgres {
  freshDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** A PostgreSQL of the benchmark's own, durable, on the disk of the temporary folder (TMPDIR chooses another). */
export async function startPostgres(): Promise<BenchPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'batchwise-bench-'));
  chmodSync(directory, 0o755);
  const postgres = await startEmbeddedPostgres(join(directory, 'data'), {
    fsync: 'on',
    synchronous_commit: 'on',
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    // By which the lag of the event log is measured.
    track_commit_timestamp: 'on',
  });
  await migrate(postgres.url(), modules);
  const databases: string[] = [];
  return {
    async freshDatabase() {
      const name = `bench_${databases.length}`;
      databases.push(name);
      const client = new Client({ connectionString: postgres.url('postgres') });
      await client.connect();
      await client.query(`CREATE DATABASE ${name} TEMPLATE batchwise`);
      await client.end();
      return postgres.url(name);
    },
    async stop() {
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
