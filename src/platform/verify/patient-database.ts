import { DataSource } from 'typeorm';
import { type Connection, Database } from '../database/database';
import { dataSourceOptions } from '../database/data-source-options';

/** Runs `use` with a connection whose statements may take as long as they need: those that look at everything. */
export async function* withPatientConnection<T>(
  url: string,
  use: (connection: Connection) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const source = await new DataSource(dataSourceOptions(url, { poolSize: 1, timeouts: false })).initialize();
  try {
    const connection = await new Database(source).connect();
    try {
      yield* use(connection);
    } finally {
      connection.destroy();
    }
  } finally {
    await source.destroy();
  }
}
