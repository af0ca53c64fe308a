import { v7 as uuidv7 } from 'uuid';
import { NotLoaded } from '../../kernel/unit-of-work';
import { allSent, type Connection, type Database, isConnectionLost, sqlState } from '../database/database';
import { appendEvents, type NewEvent } from '../event-log/event-log';
import type { RequestContext } from '../request-context';
import type { AggregateSession, AggregateStore } from './aggregate-store';
import type { Waiting } from './work-queue';

export type Outcome = { readonly result: unknown } | { readonly error: unknown };

/** A piece of work on its way through the unit of work. */
export class Work<Needs, Repository> implements Waiting {
  /** It is part of a transaction that may commit. */
  begun = false;
  /** What it returned or threw when it last ran; true for the caller once the transaction is durable. */
  outcome: Outcome | undefined;
  settled = false;

  constructor(
    readonly place: number,
    public keys: readonly string[],
    readonly needs: Needs,
    readonly run: (repository: Repository) => unknown,
    readonly context: RequestContext,
    /** When its caller must have an answer, in milliseconds of Date.now(). */
    readonly deadline: number,
    private readonly answer: (outcome: Outcome) => void,
  ) {}

  /** Answers the caller, once. */
  settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    this.answer(outcome);
  }
}

/** What an attempt left undone: works to be put back, and keys that others have locked. */
export interface LeftOver<W> {
  readonly works: readonly W[];
  readonly contended: readonly string[];
}

interface LockRow {
  readonly key: string;
  readonly had: boolean;
  readonly now: string;
}

/** A work that keeps asking for more is a mistake in its aggregate. */
const loadsMax = 100;
/** For rows that someone outside holds: long enough for an ordinary transaction, short enough for those who wait here. */
const begin = { text: `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'` };
const commit = { text: 'COMMIT' };
const rollback = { text: 'ROLLBACK' };

/*
 * Advisory locks, in the order of their hashes, in a statement of their own: it assigns no transaction id, so that of two
 * transactions of one stream the later one has the higher id, and what is loaded next is seen as it is after the wait.
 */
const lockStatement = (name: string, lock: string) => ({
  name,
  text: `
    SELECT key, ${lock} AS had,
           to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now
    FROM (SELECT key, hashtextextended(key, 0) AS hash FROM unnest($1::text[]) AS key ORDER BY hash) AS sorted`,
});
const tryLocks = lockStatement('unit-of-work-try-locks', 'pg_try_advisory_xact_lock(hash)');
const waitForLocks = lockStatement('unit-of-work-locks', `pg_advisory_xact_lock(hash)::text = ''`);

const insertId = {
  name: 'unit-of-work-id',
  text: 'INSERT INTO platform.unit_of_work (id) VALUES ($1)',
};

/**
 * A group of works on its way to be one transaction. It may take several attempts; all carry the same id, which the
 * transaction stores, so that after a COMMIT without an answer the next attempt finds out whether it had happened.
 */
export class GroupTransaction<Needs, Repository> {
  works: readonly Work<Needs, Repository>[] = [];
  /** How many events the last attempt recorded. */
  events = 0;
  /** A COMMIT was sent, and nobody knows yet what became of it. */
  inDoubt = false;
  private readonly id = uuidv7();
  private wait: boolean;
  private form: (() => readonly Work<Needs, Repository>[]) | undefined;

  /**
   * @param keys of all works
   * @param group.works the works, or how to find them once the locks are had
   * @param group.wait whether to wait for locks (2 s at most), or to leave the works out that need what others hold
   */
  constructor(
    private readonly database: Database,
    private readonly store: AggregateStore<Needs, Repository>,
    readonly keys: readonly string[],
    group: {
      readonly works: readonly Work<Needs, Repository>[] | (() => readonly Work<Needs, Repository>[]);
      readonly wait: boolean;
    },
  ) {
    if (typeof group.works === 'function') this.form = group.works;
    else this.works = group.works;
    this.wait = group.wait;
  }

  /** Two groups of half the works each, to find the one that cannot be stored. */
  halves(): GroupTransaction<Needs, Repository>[] {
    const middle = this.works.length >> 1;
    return [this.works.slice(0, middle), this.works.slice(middle)].map((works) => {
      const keys = [...new Set(works.flatMap((work) => work.keys))];
      return new GroupTransaction(this.database, this.store, keys, { works, wait: true });
    });
  }

  /**
   * Locks, loads, runs the works and commits. On return every work of {@link works} has its outcome.
   * @throws whatever the database reports. If {@link inDoubt} is not set then, nothing happened.
   */
  async attempt(): Promise<LeftOver<Work<Needs, Repository>>> {
    const connection = await this.database.connect();
    try {
      const left = await this.work(connection);
      connection.release();
      return left;
    } catch (error) {
      // Whoever holds the locks may be gone tomorrow; who was refused once waits for them from now on.
      this.wait = true;
      if (!this.inDoubt) for (const work of this.works) work.begun = false;
      await abandon(connection, error);
      throw error;
    }
  }

  private async work(connection: Connection): Promise<LeftOver<Work<Needs, Repository>>> {
    const locks = await this.lock(connection);
    const had = new Set(locks.filter((lock) => lock.had).map((lock) => lock.key));
    if (this.form) this.works = this.form();
    this.form = undefined;
    this.works = this.works.filter((work) => !work.settled || this.inDoubt);
    const late: Work<Needs, Repository>[] = [];
    this.leaveOut(late, (work) => work.keys.every((key) => had.has(key)));

    if (this.inDoubt && (await this.hadCommitted(connection))) {
      this.inDoubt = false;
      return { works: [], contended: [] };
    }
    const idIsStored = this.inDoubt;
    this.inDoubt = false;
    this.works = this.works.filter((work) => !work.settled);

    const session = this.store.open();
    const busy = await session.load(
      connection,
      [...had],
      this.works.map((work) => work.needs),
      { now: locks.at(-1)!.now, wait: this.wait },
    );
    for (const key of busy) had.delete(key);
    for (const work of this.works) work.keys = [...new Set([...work.keys, ...session.keysOf(work.needs)])];
    this.leaveOut(late, (work) => work.keys.every((key) => had.has(key)));

    const events: NewEvent[] = [];
    for (const work of this.works) await this.run(work, session, connection, events);
    this.events = events.length;
    if (events.length === 0) await connection.query(rollback);
    else await this.storeAndCommit(connection, session, events, idIsStored);
    return { works: late, contended: [...locks.filter((lock) => !lock.had).map((lock) => lock.key), ...busy] };
  }

  private async lock(connection: Connection): Promise<LockRow[]> {
    const begun = connection.query(begin);
    const locked = connection.query<LockRow>(this.wait ? waitForLocks : tryLocks, [
      this.keys.map((key) => `${this.store.kind}:${key}`),
    ]);
    await allSent([begun, locked]);
    const prefix = this.store.kind.length + 1;
    return (await locked).map((lock) => ({ ...lock, key: lock.key.slice(prefix) }));
  }

  /** Keeps the works that can go on, and adds the others to `late`. */
  private leaveOut(late: Work<Needs, Repository>[], canGoOn: (work: Work<Needs, Repository>) => boolean): void {
    late.push(...this.works.filter((work) => !canGoOn(work)));
    this.works = this.works.filter(canGoOn);
  }

  /** Storing the id again waits for a transaction that is still under way, and then tells the truth. */
  private async hadCommitted(connection: Connection): Promise<boolean> {
    try {
      await connection.query(insertId, [this.id]);
      return false;
    } catch (error) {
      if (sqlState(error) !== '23505') throw error;
      await connection.query(rollback);
      return true;
    }
  }

  private async run(
    work: Work<Needs, Repository>,
    session: AggregateSession<Needs, Repository>,
    connection: Connection,
    events: NewEvent[],
  ): Promise<void> {
    for (let loads = 0; !work.settled; loads += 1) {
      try {
        const { result, events: recorded } = session.attempt(work.run);
        for (const { key, version, event, occurredAt } of recorded) {
          events.push({ stream: `${this.store.kind}:${key}`, version, event, occurredAt, context: work.context });
        }
        work.begun = true;
        work.outcome = { result };
        return;
      } catch (error) {
        if (!(error instanceof NotLoaded) || loads === loadsMax) {
          work.outcome = { error };
          return;
        }
        await session.loadMore(connection, error.needs as Needs);
      }
    }
  }

  private async storeAndCommit(
    connection: Connection,
    session: AggregateSession<Needs, Repository>,
    events: readonly NewEvent[],
    idIsStored: boolean,
  ): Promise<void> {
    const stored = [
      ...(idIsStored ? [] : [connection.query(insertId, [this.id])]),
      ...session.store(connection),
      appendEvents(connection, events),
    ];
    // COMMIT is sent with them: behind a statement that failed it only rolls back.
    const committed = connection.run(commit);
    this.inDoubt = true;
    try {
      await allSent([...stored, committed]);
    } finally {
      const answer = await committed.catch((error: unknown) => error);
      this.inDoubt = isConnectionLost(answer);
    }
    if ((await committed).command !== 'COMMIT') throw new Error('the server rolled back a transaction without an error');
  }
}

/** Ends what is left of a failed transaction: no connection goes back to the pool inside one, or in an unknown state. */
async function abandon(connection: Connection, error: unknown): Promise<void> {
  if (isConnectionLost(error)) return connection.destroy();
  try {
    await connection.query(rollback);
    connection.release();
  } catch {
    connection.destroy();
  }
}
