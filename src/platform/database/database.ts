import { Injectable } from '@nestjs/common';
import type { PoolClient, QueryResult } from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';

/** A statement of the hot path. Its name makes the server prepare it once per connection; one name, one text. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** Whatever runs statements: a connection of one's own, or any of the pool. */
export interface Queryable {
  /** @returns the rows as objects */
  query<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

/** SQLSTATE of an error that the server reported; undefined for any other error, a lost connection among them. */
export const sqlState = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object) ? code : undefined;
};

/**
 * Whether an error leaves open what the server did: the connection was lost, the answer did not come in time, or the
 * server is going away (classes 08 and 57P).
 */
export const isConnectionLost = (error: unknown): boolean => {
  const state = sqlState(error);
  if (state !== undefined) return state.startsWith('08') || state.startsWith('57P');
  return error instanceof Error && !programmingErrors.some((kind) => error instanceof kind);
};

/** The driver reports a lost connection by plain errors; these are somebody's mistake instead. */
const programmingErrors = [TypeError, RangeError, ReferenceError, SyntaxError];

/**
 * Waits for all of several statements that were sent together.
 * @throws the first error in the order of sending: those behind it only say that the transaction had failed
 */
export async function allSent(statements: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(statements)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * One connection of the pool, held for a transaction. Statements may be sent without waiting for the answer to the one
 * before: the server works them in order, each in one round trip's time together.
 */
export class Connection implements Queryable {
  #released = false;

  constructor(
    private readonly client: PoolClient,
    private readonly giveBack: (error?: Error | boolean) => void,
  ) {}

  async query<Row extends object>({ name, text }: Statement, values?: readonly unknown[]): Promise<Row[]> {
    return (await this.run<Row>({ name, text }, values)).rows;
  }

  /** Like query, with the server's command tag: `COMMIT` answers ROLLBACK for a transaction that had failed. */
  async run<Row extends object>({ name, text }: Statement, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.client.query<Row>({ ...(name ? { name } : {}), text, ...(values ? { values: [...values] } : {}) });
  }

  /** Back to the pool, for a connection that is known to be idle and outside of a transaction. */
  release(): void {
    if (!this.#released) this.giveBack();
    this.#released = true;
  }

  /** Closed for good: the only thing to do with a connection whose state is not known. */
  destroy(): void {
    if (!this.#released) this.giveBack(true);
    this.#released = true;
  }
}

/** The database as the platform's own code sees it: TypeORM's pool, without TypeORM's query runners. */
@Injectable()
export class Database implements Queryable {
  constructor(private readonly dataSource: DataSource) {}

  /** @throws if no connection is had within the pool's time limit */
  async connect(): Promise<Connection> {
    const driver = this.dataSource.driver as PostgresDriver;
    const [client, release] = (await driver.obtainMasterConnection()) as [PoolClient, (error?: Error | boolean) => void];
    return new Connection(client, release);
  }

  /** Runs one statement on any connection, as a transaction of its own. */
  async query<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    const connection = await this.connect();
    try {
      const rows = await connection.query<Row>(statement, values);
      connection.release();
      return rows;
    } catch (error) {
      if (isConnectionLost(error)) connection.destroy();
      else connection.release();
      throw error;
    }
  }
}
