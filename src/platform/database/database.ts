import { isNativeError } from 'node:util/types';
import { Injectable } from '@nestjs/common';
import type { PoolClient, QueryResult } from 'pg';
import { DataSource } from 'typeorm';
import { Overloaded } from '../../kernel/unit-of-work';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import { copyIn } from './copy-in';

/** A statement of the hot path. */
export interface Statement {
  /**
   * Makes the server prepare it once per connection; one name, one text. One without parameters is not prepared: its plan
   * would be kept for good, made perhaps while its table was empty.
   */
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

/** Whether the server reported that a statement failed, and with it its transaction: nothing of it was done. */
export const isStatementError = (error: unknown): boolean =>
  sqlState(error) !== undefined && (error as { severity: unknown }).severity === 'ERROR';

/**
 * Whether an error leaves open what the server did: the connection was lost, the answer did not come in time, or the
 * server ended the session (severity FATAL or PANIC, classes 08 and 57P).
 */
export const isConnectionLost = (error: unknown): boolean => {
  if (error instanceof ConnectionLost) return true;
  const state = sqlState(error);
  if (state === undefined) return false;
  const { severity } = error as { severity: unknown };
  return severity === 'FATAL' || severity === 'PANIC' || state.startsWith('08') || state.startsWith('57P');
};

/** The connection broke, the server did not answer in time, or it cannot be reached. */
export class ConnectionLost extends Error {
  constructor(cause: unknown) {
    super(`the connection to the database was lost: ${String(cause)}`, { cause });
  }
}

/** The driver reports a lost connection by plain errors; these are somebody's mistake instead. */
const programmingErrors = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError']);

const told = (error: unknown): unknown =>
  sqlState(error) === undefined && isNativeError(error) && !programmingErrors.has(error.name)
    ? new ConnectionLost(error)
    : error;

/**
 * One connection of the pool, held for a transaction. Statements may be sent without waiting for the answer to the one
 * before: the server works them in order, each in one round trip's time together.
 */
export class Connection implements Queryable {
  #released = false;

  constructor(
    private readonly client: PoolClient,
    private readonly giveBack: (error?: Error | boolean) => void,
  ) {
    // The statements under way report a lost connection; without a listener the event would end the process.
    client.on('error', ignore);
  }

  async query<Row extends object>({ name, text }: Statement, values?: readonly unknown[]): Promise<Row[]> {
    return (await this.run<Row>({ name, text }, values)).rows;
  }

  /** Like query, with the server's command tag: `COMMIT` answers ROLLBACK for a transaction that had failed. */
  async run<Row extends object>({ name, text }: Statement, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    try {
      return await this.client.query<Row>({
        ...(name && values ? { name } : {}),
        text,
        ...(values ? { values: [...values] } : {}),
      });
    } catch (error) {
      throw told(error);
    }
  }

  /** Runs a `COPY … FROM STDIN`. @param data in its text format */
  async copy(text: string, data: string): Promise<void> {
    try {
      await copyIn(this.client, text, data);
    } catch (error) {
      throw told(error);
    }
  }

  /** Back to the pool, for a connection that is known to be idle and outside of a transaction. */
  release(): void {
    this.leave();
  }

  /** Ends a failed transaction: no connection goes back to the pool inside one, or in a state that is not known. */
  async abandon(error: unknown): Promise<void> {
    if (isConnectionLost(error)) return this.destroy();
    try {
      await this.query({ text: 'ROLLBACK' });
      this.release();
    } catch {
      this.destroy();
    }
  }

  /** Closed for good: the only thing to do with a connection whose state is not known. */
  destroy(): void {
    this.leave(true);
  }

  private leave(destroy = false): void {
    if (this.#released) return;
    this.#released = true;
    this.giveBack(destroy);
    this.client.off('error', ignore);
  }
}

const ignore = (): void => undefined;

/** The database as the platform's own code sees it: TypeORM's pool, without TypeORM's query runners. */
@Injectable()
export class Database implements Queryable {
  constructor(private readonly dataSource: DataSource) {}

  /** @throws if no connection is had within the pool's time limit */
  async connect(): Promise<Connection> {
    const driver = this.dataSource.driver as PostgresDriver;
    type Obtained = [PoolClient, (error?: Error | boolean) => void];
    const [client, release] = (await driver.obtainMasterConnection().catch((error: unknown) => {
      throw told(error);
    })) as Obtained;
    return new Connection(client, release);
  }

  /**
   * Runs one statement on any connection, as a transaction of its own.
   * @throws Overloaded if the database is out of reach, or does not answer
   */
  async query<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    let connection: Connection | undefined;
    try {
      connection = await this.connect();
      const rows = await connection.query<Row>(statement, values);
      connection.release();
      return rows;
    } catch (error) {
      if (!isConnectionLost(error)) {
        connection?.release();
        throw error;
      }
      connection?.destroy();
      throw new Overloaded('The database does not answer. Try again.', { cause: error });
    }
  }

  /**
   * Runs `work` in a transaction: READ COMMITTED, committed if it returns. Not retried: a COMMIT whose connection was lost
   * is reported as the lost connection, and may have happened.
   */
  async transaction<T>(work: (transaction: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    try {
      await connection.query({ text: 'BEGIN ISOLATION LEVEL READ COMMITTED' });
      const result = await work(connection);
      await connection.query({ text: 'COMMIT' });
      connection.release();
      return result;
    } catch (error) {
      await connection.abandon(error);
      throw error;
    }
  }
}
