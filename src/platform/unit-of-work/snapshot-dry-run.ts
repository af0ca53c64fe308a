import { DryRun, Overloaded, UnitOfWork } from '../../kernel/unit-of-work';
import { type Connection, type Database, isConnectionLost } from '../database/database';
import { Turns } from '../turns';
import type { AggregateStore } from './aggregate-store';
import { attemptLoading } from './attempt-loading';
import { begin, rollback } from './group-transaction';
import { isOfTheDatabase, notDone } from './grouping-unit-of-work';

/** Dry runs at once, each on a connection of the pool; enough are left for the transactions and the queries. */
const atOnce = 4;
/** Dry runs that wait for their turn, at most … */
const waitingMax = 256;
/** … and how long (ms). */
const patience = 10_000;
/** What takes longer (ms) is given up: while a snapshot is held, the database keeps what others have deleted since. */
const longest = 30_000;
/** Works whose needs are loaded together, at most. */
const loadedTogether = 512;

const beginReading = begin('REPEATABLE READ READ ONLY', '2s');

/**
 * Dry runs on one snapshot of the database each: a transaction that only reads, and is rolled back. It assigns no
 * transaction id and waits for no one who writes.
 */
export class SnapshotDryRun<Needs, Repository> extends DryRun<Needs, Repository> {
  private readonly turns = new Turns(atOnce, waitingMax, patience);

  constructor(
    private readonly database: Database,
    private readonly store: AggregateStore<Needs, Repository>,
  ) {
    super();
  }

  async preview<T>(use: (unitOfWork: UnitOfWork<Needs, Repository>) => Promise<T>): Promise<T> {
    const end = await this.turns.take();
    try {
      return await this.onSnapshot(use);
    } catch (error) {
      throw isConnectionLost(error) || isOfTheDatabase(error) ? notDone(error) : error;
    } finally {
      end();
    }
  }

  private async onSnapshot<T>(use: (unitOfWork: UnitOfWork<Needs, Repository>) => Promise<T>): Promise<T> {
    const connection = await this.database.connect();
    try {
      await connection.query(beginReading);
      const unitOfWork = new SnapshotUnitOfWork(connection, this.store);
      const result = await use(unitOfWork).finally(() => unitOfWork.idle());
      await connection.query(rollback);
      connection.release();
      return result;
    } catch (error) {
      await connection.abandon(error);
      throw error;
    }
  }
}

interface Work<Needs, Repository> {
  readonly needs: Needs;
  readonly run: (repository: Repository) => unknown;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Works one after another, in the order in which they come, on what one transaction sees. */
class SnapshotUnitOfWork<Needs, Repository> extends UnitOfWork<Needs, Repository> {
  private readonly session;
  private readonly loaded = new Set<string>();
  private readonly deadline = performance.now() + longest;
  private readonly waiting: Work<Needs, Repository>[] = [];
  private working: Promise<void> | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly store: AggregateStore<Needs, Repository>,
  ) {
    super();
    this.session = store.open();
  }

  run<T>(needs: Needs, work: (repository: Repository) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({ needs, run: work, resolve, reject });
      this.working ??= this.workAll();
    });
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    await this.working;
  }

  /** What is needed by works that come in one turn of the event loop is loaded at once. */
  private async workAll(): Promise<void> {
    await new Promise(setImmediate);
    while (this.waiting.length > 0) {
      const works = this.waiting.splice(0, loadedTogether);
      try {
        await this.load(works.map(({ needs }) => needs));
        for (const work of works) await this.attempt(work);
      } catch (error) {
        for (const work of works) work.reject(error);
      }
    }
    this.working = undefined;
  }

  private async load(needs: readonly Needs[]): Promise<void> {
    const keys = new Set(needs.flatMap((one) => this.store.keysNamedBy(one) ?? []));
    const toFind = needs.filter((one) => this.store.keysNamedBy(one) === undefined);
    if (toFind.length > 0) {
      for (const found of await this.store.findKeys(toFind, this.connection)) for (const key of found) keys.add(key);
    }
    const fresh = [...keys].filter((key) => !this.loaded.has(key));
    for (const key of fresh) this.loaded.add(key);
    const options = { now: new Date().toISOString(), wait: false, thorough: false, readOnly: true };
    await this.session.load(this.connection, fresh, needs, options);
  }

  private async attempt({ run, resolve, reject }: Work<Needs, Repository>): Promise<void> {
    const inTime = (): boolean => performance.now() < this.deadline;
    const attempted = await attemptLoading(this.session, this.connection, run, inTime);
    if (!attempted) reject(new Overloaded('It takes too long to try this out. Nothing was changed; try less at once.'));
    else if ('error' in attempted) reject(attempted.error);
    else resolve(attempted.result as never);
  }
}
