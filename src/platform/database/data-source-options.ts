import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions';

/** How long anything about the database may take, in milliseconds. Nothing waits for ever. */
export const databaseTimeouts = {
  connect: 5_000,
  /** The server gives a statement up. Above it lies only the largest change of one SKU (100,000 lines). */
  statement: 30_000,
  /** The client gives up on a server that does not answer; its connection is destroyed. */
  answer: 35_000,
  /** A transaction whose client is gone, or sleeps, gives its locks back. */
  idleInTransaction: 30_000,
};

/**
 * A plan that a connection makes while a table is small and then keeps would read the whole table later: statements are
 * planned when they are run, by the size that tables have then. (The unit of work keeps its plans, and says why it may.)
 *
 * @param options.timeouts off for migrations, which may take as long as they need */
export function dataSourceOptions(url: string, { poolSize = 20, timeouts = true } = {}): PostgresDataSourceOptions {
  return {
    type: 'postgres',
    url,
    poolSize,
    connectTimeoutMS: databaseTimeouts.connect,
    applicationName: 'batchwise',
    installExtensions: false,
    // Errors of idle connections: the pool drops them by itself, and the next statement opens another one.
    poolErrorHandler: () => undefined,
    extra: {
      pipeline: true,
      keepAlive: true,
      options: '-c plan_cache_mode=force_custom_plan',
      ...(timeouts && {
        query_timeout: databaseTimeouts.answer,
        statement_timeout: databaseTimeouts.statement,
        idle_in_transaction_session_timeout: databaseTimeouts.idleInTransaction,
      }),
    },
  };
}
