import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { Database } from '../../src/platform/database/database';

export interface TestDatabase {
  readonly url: string;
  /** A client of one's own, ended with the database. */
  client(): Promise<Client>;
  /** The database as the platform sees it, closed with the database. */
  connect(url?: string): Promise<Database>;
  drop(): Promise<void>;
}

/** A migrated database for one suite. */
export async function freshDatabase(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE batchwise_template STRATEGY file_copy`);
  const url = `${process.env.TEST_DATABASE_SERVER}${name}`;
  const closing: (() => Promise<unknown>)[] = [];
  return {
    url,
    async client() {
      const client = new Client({ connectionString: url });
      client.on('error', () => undefined);
      await client.connect();
      closing.push(() => client.end());
      return client;
    },
    async connect(through = url) {
      const { DataSource, dataSourceOptions, Database } = platform();
      const source = await new DataSource(dataSourceOptions(through)).initialize();
      closing.push(() => source.destroy());
      return new Database(source);
    },
    async drop() {
      await Promise.allSettled(closing.map((close) => close()));
      await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** Takes seconds to load, so only the suites that connect that way do it. */
const platform = () => ({
  ...jest.requireActual<typeof import('typeorm')>('typeorm'),
  ...jest.requireActual<typeof import('../../src/platform/database/database')>('../../src/platform/database/database'),
  ...jest.requireActual<typeof import('../../src/platform/database/data-source-options')>(
    '../../src/platform/database/data-source-options',
  ),
});

async function onServer(sql: string): Promise<void> {
  const client = new Client({ connectionString: `${process.env.TEST_DATABASE_SERVER}batchwise` });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
