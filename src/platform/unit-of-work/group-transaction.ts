import { type Connection, type Database, isStatementError, sqlState } from '../database/database';
import { exactInstantOf } from '../database/instants';
import { appendEvents, type NewEvent } from '../event-log/event-log';
import type { Claim } from '../idempotency/idempotency-key';
import { IdempotencyKeys } from '../idempotency/idempotency-keys';
import { allEnded } from '../in-parallel';
import { newId } from '../new-id';
import type { RequestContext } from '../request-context';
import { currentSpan, inSpan } from '../tracing/spans';
import type { AggregateSession, AggregateStore } from './aggregate-store';
import { attemptLoading } from './attempt-loading';
import type { Outcome } from './outcome';
import type { Waiting } from './work-queue';

/** A piece of work on its way through the unit of work. */
export class Work<Needs, Repository> implements Waiting {
  /** It is part of a transaction that may commit. */
  begun = false;
  /** What it returned or threw when it last ran; true for the caller once the transaction is durable. */
  outcome: Outcome | undefined;
  settled = false;
  /** Known once its needs are resolved. */
  keys: readonly string[] = [];
  /** Whose part its transactions are. */
  readonly span = currentSpan();
  /** What it claims, if its request has an idempotency key. */
  readonly claim: Claim | undefined;

  constructor(
    readonly place: number,
    readonly needs: Needs,
    readonly run: (repository: Repository) => unknown,
    readonly context: RequestContext,
    /** When its caller must have an answer, in milliseconds of performance.now(): wall clocks jump. */
    readonly deadline: number,
    private readonly answer: (outcome: Outcome) => void,
  ) {
    this.claim = context.idempotencyKey?.claim();
  }

  /** Answers the caller, once. */
  settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    if (outcome.repeatOf !== undefined) this.claim?.request.repeats(outcome.repeatOf);
    this.answer(outcome);
  }
}

interface LockRow {
  readonly key: string;
  readonly had: boolean;
  readonly now: string;
}

/*
 * Planning takes longer than most statements of a group, so their plans are kept, though they may be made while the tables
 * are small and run when they have grown. So only plans are allowed that are good then: row by row, through an index.
 */
export const begin = (mode: string, lockTimeout: string) => ({
  text: `
    BEGIN ISOLATION LEVEL ${mode};
    SET LOCAL lock_timeout = '${lockTimeout}';
    SET LOCAL plan_cache_mode = auto;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    SET LOCAL enable_sort = off`,
});
/** A group that may leave works out does so rather than let the others wait for a row that someone outside holds. */
const beginBriskly = begin('READ COMMITTED', '200ms');
/** Long enough for an ordinary transaction, short enough for those who wait here. */
const beginToWait = begin('READ COMMITTED', '2s');
const commit = { text: 'COMMIT' };
export const rollback = { text: 'ROLLBACK' };

/*
 * Advisory locks, in the order of their hashes, in a statement of their own: it assigns no transaction id, so that of two
 * transactions of one stream the later one has the higher id, and what is loaded next is seen as it is after the wait.
 */
const lockStatement = (name: string, lock: string) => ({
  name,
  text: `
    SELECT key, ${lock} AS had,
           ${exactInstantOf('clock_timestamp()')} AS now
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
  /** Look at all rows of the aggregates for locks of others: storing has met one. */
  thorough = false;
  /** Waits for locks (2 s at most), instead of leaving the works out that need what others hold. */
  readonly wait: boolean;
  private readonly id = newId();
  private isSent!: () => void;
  /** Settles when an attempt has sent what it stores, or has ended. */
  readonly sent = new Promise<void>((resolve) => (this.isSent = resolve));
  private leftOut: Work<Needs, Repository>[] = [];
  private contended: string[] = [];
  private form: (() => readonly Work<Needs, Repository>[]) | undefined;

  /**
   * @param keys of all works, or those to wait for until the works are found
   * @param group.works the works, or how to find them once the locks are had
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
      return new GroupTransaction(this.database, this.store, keysOf(works), { works, wait: false });
    });
  }

  /**
   * Locks, loads, runs the works and commits. On return every work of {@link works} has its outcome.
   * @throws whatever the database reports. If {@link inDoubt} is not set then, nothing happened.
   */
  attempt(): Promise<void> {
    const partOf = (): readonly unknown[] => this.works.flatMap(({ span }) => span ?? []);
    return inSpan(
      () => ({ name: `transaction ${this.store.kind}`, partOf }),
      () => this.attemptOnce(),
    );
  }

  private async attemptOnce(): Promise<void> {
    const connection = await this.database.connect();
    try {
      await this.work(connection);
      connection.release();
    } catch (error) {
      if (!this.inDoubt) this.nothingHappened();
      await connection.abandon(error);
      throw error;
    } finally {
      this.isSent();
    }
  }

  /** Hands over, once, what the last attempt left out, whether it failed or not: works, and keys that others hold. */
  takeLeftOver(): { readonly works: readonly Work<Needs, Repository>[]; readonly contended: readonly string[] } {
    const left = { works: this.leftOut, contended: this.contended };
    this.leftOut = [];
    this.contended = [];
    return left;
  }

  private async work(connection: Connection): Promise<void> {
    // In doubt nobody can be left out: what was sent together was committed together, or not at all.
    const wait = this.wait || this.inDoubt;
    const locks = await this.lock(connection, wait);
    const had = new Set<string>();
    for (const { key, had: isHad } of locks) {
      if (isHad) had.add(key);
      else this.contended.push(key);
    }
    const idIsStored = this.inDoubt;
    if (this.inDoubt) {
      const committed = await this.hadCommitted(connection);
      this.inDoubt = false;
      if (committed) return;
      this.nothingHappened();
    }
    if (this.form) this.works = this.form();
    this.form = undefined;
    this.works = this.works.filter((work) => !work.settled);
    this.leaveOutThoseBeside(had);

    const session = this.store.open();
    const loading = session.load(
      connection,
      [...had],
      this.works.map((work) => work.needs),
      // Works that lead nowhere lock nothing; there is nothing to record then, and no matter when.
      { now: locks.at(-1)?.now ?? new Date().toISOString(), wait, thorough: this.thorough },
    );
    // Sent behind what loads, so that it takes no further round trip.
    const claims = this.works.flatMap(({ claim }) => claim ?? []);
    const keys = claims.length > 0 ? new IdempotencyKeys(claims) : undefined;
    if (keys) await allEnded([loading, keys.look(connection)]);
    const busy = await loading;
    for (const key of busy) had.delete(key);
    this.contended.push(...busy);
    for (const work of this.works) work.keys = [...new Set([...work.keys, ...session.keysOf(work.needs)])];
    this.leaveOutThoseBeside(had);

    const events: NewEvent[] = [];
    for (const work of this.works) await this.run(work, session, connection, events, keys);
    this.events = events.length;
    if (events.length === 0 && !keys?.haveAnswers) return void (await connection.query(rollback));
    await this.storeAndCommit(connection, idIsStored, [
      ...(events.length > 0 ? [...session.store(connection), appendEvents(connection, events)] : []),
      ...(keys?.store(connection) ?? []),
    ]);
  }

  private async lock(connection: Connection, wait: boolean): Promise<LockRow[]> {
    const keys = this.works.length > 0 ? keysOf(this.works) : this.keys;
    const begun = connection.query(wait ? beginToWait : beginBriskly);
    const locked = connection.query<LockRow>(wait ? waitForLocks : tryLocks, [
      keys.map((key) => `${this.store.kind}:${key}`),
    ]);
    await allEnded([begun, locked]);
    const prefix = this.store.kind.length + 1;
    return (await locked).map((lock) => ({ ...lock, key: lock.key.slice(prefix) }));
  }

  /** Leaves out the works that need other keys than `had`, and those behind them that share a key: they keep their order. */
  private leaveOutThoseBeside(had: ReadonlySet<string>): void {
    const reserved = new Set<string>();
    const canGoOn: Work<Needs, Repository>[] = [];
    for (const work of this.works) {
      if (work.keys.every((key) => had.has(key) && !reserved.has(key))) {
        canGoOn.push(work);
      } else {
        this.leftOut.push(work);
        for (const key of work.keys) reserved.add(key);
      }
    }
    this.works = canGoOn;
  }

  private nothingHappened(): void {
    for (const work of this.works) work.begun = false;
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
    keys: IdempotencyKeys | undefined,
  ): Promise<void> {
    const known = work.claim && keys?.outcomeOf(work.claim);
    if (known) {
      work.begun = known.repeatOf !== undefined;
      work.outcome = known;
      return;
    }
    const attempted = await attemptLoading(session, connection, work.run, () => !work.settled);
    if (!attempted) return;
    if ('error' in attempted) {
      work.outcome = attempted;
    } else {
      for (const { key, version, event, occurredAt } of attempted.events) {
        events.push({ stream: `${this.store.kind}:${key}`, version, event, occurredAt, context: work.context });
      }
      work.begun = true;
      work.outcome = { result: attempted.result };
    }
    if (work.claim) keys?.keep(work.claim, work.outcome);
  }

  /** @param sent statements that were sent just now */
  private async storeAndCommit(
    connection: Connection,
    idIsStored: boolean,
    sent: readonly Promise<unknown>[],
  ): Promise<void> {
    const stored = [...sent, ...(idIsStored ? [] : [connection.query(insertId, [this.id])])];
    // A statement that could not even be sent fails in this turn of the event loop. Behind one that fails in the server
    // COMMIT only rolls back, so it need not wait for the answers.
    if (await failsAtOnce(stored)) await allEnded(stored);
    const committed = connection.run(commit);
    this.inDoubt = true;
    this.isSent();
    try {
      await allEnded([...stored, committed]);
    } finally {
      const failure = await committed.then(() => undefined).catch((error: unknown) => error);
      this.inDoubt = failure !== undefined && !isStatementError(failure);
    }
    if ((await committed).command !== 'COMMIT')
      throw new Error('the server rolled back a transaction without an error');
  }
}

/** Whether any of the statements has failed by the end of this turn of the event loop. */
async function failsAtOnce(statements: readonly Promise<unknown>[]): Promise<boolean> {
  let failed = false;
  for (const statement of statements) statement.catch(() => (failed = true));
  await new Promise(setImmediate);
  return failed;
}

/** The keys of all of several works. */
export const keysOf = (works: readonly { readonly keys: readonly string[] }[]): string[] => [
  ...new Set(works.flatMap((work) => work.keys)),
];
