import { setTimeout as delay } from 'node:timers/promises';
import { OutcomeUnknown, Overloaded, UnitOfWork } from '../../kernel/unit-of-work';
import { type Database, isConnectionLost, sqlState } from '../database/database';
import { currentContext } from '../request-context';
import type { AggregateStore } from './aggregate-store';
import { GroupTransaction, type Outcome, Work } from './group-transaction';
import { WorkQueue } from './work-queue';

export interface GroupingOptions {
  /** Works of one transaction at most; 1 turns grouping off. */
  readonly groupMax: number;
  /** Transactions under way at once at most, those that only wait for a lock not counted. */
  readonly groupsInFlight: number;
  /** Works that wait at most; more are refused as overloaded. */
  readonly queueMax: number;
  /** How long a work may take altogether, in milliseconds. */
  readonly deadline: number;
}

export const groupingDefaults: GroupingOptions = { groupMax: 512, groupsInFlight: 2, queueMax: 20_000, deadline: 10_000 };

/** Aggregates of one transaction at most; a work that needs more goes alone. */
const keysMax = 256;
/** A further group goes beside one under way only if this many works can go: smaller groups cost more per work. */
const worthAnotherGroup = 64;
/** Transactions that wait for locks of others, at most. */
const waitersMax = 4;
const sweepEvery = 250;

const needsRetry = new Set([
  '40001', // serialization failure: something stored was not as it was loaded
  '40P01', // deadlock with someone outside
  '55P03', // lock timeout
]);

/** What watches a unit of work: for metrics. */
export interface GroupingObserver {
  groupEnded(works: number, outcome: 'committed' | 'unchanged' | 'failed'): void;
}

/**
 * The unit of work that commits works in groups. Those that arrive while a transaction is under way share the next one;
 * nobody waits for a timer, and a work that comes alone is committed alone, at once. What a work does is isolated from
 * the others of its group: it fails, is refused or is retried without them.
 *
 * Generic over the aggregate: a module makes one for its own kind with an {@link AggregateStore}.
 */
export class GroupingUnitOfWork<Needs, Repository> extends UnitOfWork<Needs, Repository> {
  private readonly queue = new WorkQueue<Work<Needs, Repository>>();
  private readonly options: GroupingOptions;
  private readonly unsettled = new Set<Work<Needs, Repository>>();
  private lookingUp: { needs: Needs; found: (keys: readonly string[]) => void; failed: (error: unknown) => void }[] = [];
  private arrivals = 0;
  private inFlight = 0;
  private waiters = 0;
  private pumpScheduled = false;
  private sweeper: NodeJS.Timeout | undefined;
  private whenIdle: (() => void)[] = [];
  private closed = false;

  constructor(
    private readonly database: Database,
    private readonly store: AggregateStore<Needs, Repository>,
    options: Partial<GroupingOptions> = {},
    private readonly observer?: GroupingObserver,
  ) {
    super();
    this.options = { ...groupingDefaults, ...options };
  }

  /** Works that wait for a transaction. */
  get depth(): number {
    return this.queue.length;
  }

  async run<T>(needs: Needs, work: (repository: Repository) => T): Promise<T> {
    if (this.closed || this.unsettled.size >= this.options.queueMax) throw new Overloaded();
    const named = this.store.keysNamedBy(needs);
    const keys = named ?? (await this.findKeys(needs));
    if (keys.length === 0) return this.store.open().attempt(work).result;
    return new Promise<T>((resolve, reject) => {
      const answer = (outcome: Outcome): void => {
        this.unsettled.delete(waiting);
        if ('error' in outcome) reject(outcome.error as Error);
        else resolve(outcome.result as T);
      };
      const deadline = Date.now() + this.options.deadline;
      const waiting = new Work(this.arrivals++, [...new Set(keys)], needs, work, currentContext(), deadline, answer);
      this.unsettled.add(waiting);
      this.sweeper ??= setInterval(() => this.sweep(), sweepEvery).unref();
      if (this.queue.add(waiting)) this.schedulePump();
    });
  }

  /** Waits until everything that was begun is done; from now on nothing new is accepted. */
  async close(): Promise<void> {
    this.closed = true;
    await this.idle();
    clearInterval(this.sweeper);
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    if (this.unsettled.size + this.inFlight + this.waiters > 0) {
      await new Promise<void>((resolve) => this.whenIdle.push(resolve));
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.close();
  }

  /** Works that arrive in the same turn of the event loop look their keys up together. */
  private findKeys(needs: Needs): Promise<readonly string[]> {
    return new Promise((found, failed) => {
      this.lookingUp.push({ needs, found, failed });
      if (this.lookingUp.length > 1) return;
      setImmediate(() => {
        const asked = this.lookingUp;
        this.lookingUp = [];
        this.store
          .findKeys(
            asked.map((one) => one.needs),
            this.database,
          )
          .then((keys) => asked.forEach((one, i) => one.found(keys[i] ?? [])))
          .catch((error: unknown) => {
            const reason = isConnectionLost(error) ? new Overloaded('The database does not answer.') : error;
            asked.forEach((one) => one.failed(reason));
          });
      });
    });
  }

  private schedulePump(): void {
    if (this.pumpScheduled) return;
    this.pumpScheduled = true;
    setImmediate(() => {
      this.pumpScheduled = false;
      this.pump();
    });
  }

  /** Starts what can be started. */
  private pump(): void {
    while (this.inFlight < this.options.groupsInFlight) {
      if (this.inFlight > 0 && this.queue.length < worthAnotherGroup) break;
      const works = this.queue.take({ works: this.options.groupMax, keys: keysMax });
      if (works.length === 0) break;
      this.inFlight += 1;
      void this.commitTogether(works).finally(() => {
        this.inFlight -= 1;
        this.ended();
      });
    }
    while (this.waiters < waitersMax) {
      const keys = this.queue.takeContended();
      if (!keys) break;
      this.waiters += 1;
      void this.waitForLocks(keys).finally(() => {
        this.waiters -= 1;
        this.ended();
      });
    }
  }

  private ended(): void {
    this.pump();
    if (this.unsettled.size + this.inFlight + this.waiters > 0) return;
    for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  private async commitTogether(works: readonly Work<Needs, Repository>[]): Promise<void> {
    const keys = new Set(works.flatMap((work) => work.keys));
    try {
      await this.commit(new GroupTransaction(this.database, this.store, [...keys], { works, wait: false }));
    } finally {
      this.queue.free(keys);
    }
  }

  /** Waits for locks that others hold, without holding anything, and then takes the works that have come to wait too. */
  private async waitForLocks(keys: readonly string[]): Promise<void> {
    const limits = { works: this.options.groupMax, keys: keysMax };
    try {
      await this.commit(
        new GroupTransaction(this.database, this.store, keys, { works: () => this.queue.takeAllOf(keys, limits), wait: true }),
      );
    } finally {
      this.queue.free(keys);
    }
  }

  /** Brings a group to its end, whatever happens: every work is settled, or back in the queue. */
  private async commit(group: GroupTransaction<Needs, Repository>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const left = await group.attempt();
        this.queue.markContended(left.contended);
        this.queue.putBack(left.works.filter((work) => !work.settled));
        this.observer?.groupEnded(group.works.length, group.events > 0 ? 'committed' : 'unchanged');
        for (const work of group.works) work.settle(work.outcome!);
        return;
      } catch (error) {
        if (group.works.length === 0) {
          // Whoever holds the locks went on holding them; the works still wait in the queue, up to their deadlines.
          if (sqlState(error) === '55P03') this.queue.markContended(group.keys);
          else await delay(backoff(attempt));
          return;
        }
        if (!(await this.mayTryAgain(group, error, attempt))) return;
      }
    }
  }

  /** Decides what follows a failed attempt: another one (true), or the works were settled here. */
  private async mayTryAgain(group: GroupTransaction<Needs, Repository>, error: unknown, attempt: number): Promise<boolean> {
    const state = sqlState(error);
    const lost = isConnectionLost(error);
    if (group.works.every((work) => Date.now() >= work.deadline) && (lost || needsRetry.has(state ?? ''))) {
      const outcome = { error: group.inDoubt ? new OutcomeUnknown() : new Overloaded() };
      for (const work of group.works) work.settle(outcome);
    } else if (lost || state === '40001' || state === '40P01' || (needsRetry.has(state ?? '') && group.works.length === 1)) {
      await delay(backoff(attempt));
      return true;
    } else if (group.works.length > 1) {
      for (const half of group.halves()) await this.commit(half);
      return false;
    } else if (state === '23505' && attempt <= 3) {
      // Someone else stored the same key meanwhile: loaded again, the domain sees it and decides.
      return true;
    } else {
      group.works[0]!.settle({ error });
    }
    this.observer?.groupEnded(group.works.length, 'failed');
    return false;
  }

  /** Nobody waits for ever, not even for a database that has stopped. */
  private sweep(): void {
    if (this.unsettled.size === 0) {
      clearInterval(this.sweeper);
      this.sweeper = undefined;
      return;
    }
    const now = Date.now();
    for (const work of this.queue.drop((waiting) => now >= waiting.deadline)) work.settle({ error: new Overloaded() });
    for (const work of this.unsettled) {
      if (now < work.deadline) break;
      work.settle({ error: work.begun ? new OutcomeUnknown() : new Overloaded() });
    }
    this.pump();
  }
}

/** Milliseconds to wait before attempt + 1: doubling up to half a second, with jitter. */
const backoff = (attempt: number): number => Math.min(500, 5 * 2 ** attempt) * (0.5 + Math.random() / 2);
