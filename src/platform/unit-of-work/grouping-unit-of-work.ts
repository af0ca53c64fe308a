import { setTimeout as delay } from 'node:timers/promises';
import { OutcomeUnknown, Overloaded, UnitOfWork } from '../../kernel/unit-of-work';
import { type Database, isConnectionLost, sqlState } from '../database/database';
import { currentContext } from '../request-context';
import type { AggregateStore } from './aggregate-store';
import { GroupTransaction, keysOf, Work } from './group-transaction';
import type { Outcome } from './outcome';
import { WorkQueue } from './work-queue';

export interface GroupingOptions {
  /** Works of one transaction at most; 1 turns grouping off. */
  readonly groupMax: number;
  /** Transactions under way at once at most, those not counted that wait for a lock or are held up. */
  readonly groupsInFlight: number;
  /** Works that wait at most; more are refused as overloaded. */
  readonly queueMax: number;
  /** How long a work may wait for its transaction, in milliseconds; what has begun may take three times as long. */
  readonly deadline: number;
}

export const groupingDefaults: GroupingOptions = {
  groupMax: 512,
  groupsInFlight: 2,
  queueMax: 20_000,
  deadline: 10_000,
};

/** Aggregates of one transaction at most; a work that needs more goes alone. */
const keysMax = 256;
/** A further group goes beside one under way only if this many works can go: smaller groups cost more per work. */
const worthAnotherGroup = 64;
/** Transactions that wait for locks of others, at most. */
const waitersMax = 4;
/** A transaction that takes longer (ms), for a lock or a connection that is dead, no longer keeps others from beginning. */
const heldUpAfter = 250;
/** Transactions that are held up, at most. Together with the others they leave connections of the pool to the queries. */
const heldUpMax = 2;
/** How often a group is tried for a reason that should pass, before the reason is looked for in one of its works … */
const together = 3;
/** … and how often that one is tried, which keeps the rest of its group waiting. */
const alone = 6;
/** The attempt whose backoff a database deserves that does not let us begin. */
const unreachable = 5;
const sweepEvery = 250;
/** How long answers wait (ms) for the next group to be on its way. */
const answersWait = 5;

const lockTimeout = '55P03';
const uniqueViolation = '23505';
const statementTimeout = '57014';
/** A class: disk full, out of memory, too many connections. */
const outOfResources = '53';
const passes = new Set([
  '40001', // serialization failure: something stored was not as it was loaded
  '40P01', // deadlock with someone outside
]);

/** What watches a unit of work: for metrics and the log. */
export interface GroupingObserver {
  groupEnded(works: number, outcome: 'committed' | 'unchanged' | 'failed'): void;
  /** A group was given up because of what the database, or its store, said. */
  gaveUp?(works: number, cause: unknown): void;
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
  private toLookUp: Work<Needs, Repository>[] = [];
  private lookingUp = false;
  private arrivals = 0;
  private inFlight = 0;
  private heldUp = 0;
  private waiters = 0;
  private pumpScheduled = false;
  /** Groups that have not sent yet what they store. */
  private readonly starting = new Set<GroupTransaction<Needs, Repository>>();
  /** Works that are committed, but not answered. */
  private committed: Work<Needs, Repository>[] = [];
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
    const keys = this.store.keysNamedBy(needs);
    const outcome = await new Promise<Outcome>((answer) => {
      const deadline = performance.now() + this.options.deadline;
      const waiting = new Work(this.arrivals++, needs, work, currentContext(), deadline, (outcome) => {
        this.unsettled.delete(waiting);
        answer(outcome);
        this.tellIfIdle();
      });
      this.unsettled.add(waiting);
      this.sweeper ??= setInterval(() => this.sweep(), sweepEvery).unref();
      if (keys) this.enqueue(waiting, keys);
      else this.lookUp(waiting);
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.result as T;
  }

  /** Waits until everything that was begun is done; from now on nothing new is accepted. */
  async close(): Promise<void> {
    this.closed = true;
    await this.idle();
    clearInterval(this.sweeper);
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    if (this.isIdle) return;
    await new Promise<void>((resolve) => this.whenIdle.push(resolve));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.close();
  }

  private enqueue(work: Work<Needs, Repository>, keys: readonly string[]): void {
    if (work.settled) return;
    work.keys = [...new Set(keys)];
    if (keys.length === 0 && !work.claim) work.settle(this.runOnNothing(work));
    else if (this.queue.add(work)) this.schedulePump();
  }

  /** Works whose needs lead nowhere find nothing, which needs no transaction, unless that is to be remembered. */
  private runOnNothing(work: Work<Needs, Repository>): Outcome {
    try {
      return { result: this.store.open().attempt(work.run).result };
    } catch (error) {
      return { error };
    }
  }

  /** Works that arrive while others look their keys up look theirs up together, next. */
  private lookUp(work: Work<Needs, Repository>): void {
    this.toLookUp.push(work);
    if (this.lookingUp) return;
    this.lookingUp = true;
    setImmediate(() => void this.lookUpAll());
  }

  private async lookUpAll(): Promise<void> {
    while (this.toLookUp.length > 0) {
      const works = this.toLookUp.splice(0, this.options.groupMax);
      const needs = works.map((one) => one.needs);
      try {
        const keys = await this.store.findKeys(needs, this.database);
        for (const [place, work] of works.entries()) this.enqueue(work, keys[place] ?? []);
      } catch (error) {
        for (const work of works) work.settle({ error });
      }
    }
    this.lookingUp = false;
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
      if (this.inFlight > 0 && this.queue.length < Math.min(worthAnotherGroup, this.options.groupMax)) break;
      const works = this.queue.take({ works: this.options.groupMax, keys: keysMax });
      if (works.length === 0) break;
      void this.commitTogether(works);
    }
    while (this.waiters < waitersMax) {
      const keys = this.queue.takeContended();
      if (!keys) break;
      void this.waitForLocks(keys);
    }
  }

  private get isIdle(): boolean {
    return this.unsettled.size + this.inFlight + this.heldUp + this.waiters === 0;
  }

  private tellIfIdle(): void {
    if (this.isIdle) for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  private async commitTogether(works: readonly Work<Needs, Repository>[]): Promise<void> {
    const keys = keysOf(works);
    this.inFlight += 1;
    let heldUp = false;
    const timer = setTimeout(() => {
      if (this.heldUp === heldUpMax) return;
      heldUp = true;
      this.heldUp += 1;
      this.inFlight -= 1;
      this.pump();
    }, heldUpAfter);
    const group = new GroupTransaction(this.database, this.store, keys, { works, wait: false });
    this.starting.add(group);
    void group.sent.then(() => this.starting.delete(group));
    try {
      await this.commit(group);
    } finally {
      clearTimeout(timer);
      this.starting.delete(group);
      if (heldUp) this.heldUp -= 1;
      else this.inFlight -= 1;
      this.ended(keys);
    }
  }

  /** Waits for locks that others hold, and then takes the works that have come to wait for them too. */
  private async waitForLocks(keys: readonly string[]): Promise<void> {
    const limits = { works: this.options.groupMax, keys: keysMax };
    const works = (): Work<Needs, Repository>[] => this.queue.takeAllOf(keys, limits);
    this.waiters += 1;
    try {
      await this.commit(new GroupTransaction(this.database, this.store, keys, { works, wait: true }));
    } finally {
      this.waiters -= 1;
      this.ended(keys);
    }
  }

  private ended(keys: Iterable<string>): void {
    this.queue.free(keys);
    this.pump();
    void this.answer();
    this.tellIfIdle();
  }

  /**
   * Answers the committed works once the groups that start now are on their way: the database works on those while the
   * answers are written, instead of waiting for it. If none starts, or takes long, they are answered at once.
   */
  private async answer(): Promise<void> {
    const works = this.committed;
    this.committed = [];
    if (this.starting.size > 0 && works.length > 0) {
      const tooLong = new Promise((resolve) => setTimeout(resolve, answersWait));
      await Promise.race([tooLong, Promise.all([...this.starting].map((group) => group.sent))]);
    }
    for (const work of works) work.settle(work.outcome!);
  }

  /** Brings a group to its end, whatever happens: every work is settled, or back in the queue. */
  private async commit(group: GroupTransaction<Needs, Repository>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const failure = await group.attempt().then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      const left = group.takeLeftOver();
      this.queue.markContended(left.contended);
      this.putBack(left.works);
      if (!failure) return this.succeed(group);
      if (!(await this.mayTryAgain(group, failure.error, attempt))) return;
    }
  }

  private succeed(group: GroupTransaction<Needs, Repository>): void {
    if (group.works.length === 0) return;
    this.observer?.groupEnded(group.works.length, group.events > 0 ? 'committed' : 'unchanged');
    this.committed.push(...group.works);
  }

  /** Decides what follows a failed attempt: another one (true), or the works were settled or put back here. */
  private async mayTryAgain(
    group: GroupTransaction<Needs, Repository>,
    error: unknown,
    attempt: number,
  ): Promise<boolean> {
    const { works } = group;
    const state = sqlState(error) ?? '';
    if (works.length === 0) {
      // Whoever holds the locks went on holding them; the works still wait in the queue, up to their deadlines.
      if (state === lockTimeout) this.queue.markContended(group.keys);
      else await delay(backoff(unreachable));
      return false;
    }
    if (works.every((work) => performance.now() >= work.deadline)) {
      this.giveUp(group, group.inDoubt ? new OutcomeUnknown() : notDone(error), error);
      return false;
    }
    const mayPass = passes.has(state) && attempt < (works.length === 1 ? alone : together);
    if (group.inDoubt || isConnectionLost(error) || mayPass) {
      // In doubt whatever went wrong now: only the same group, under the same id, finds out what became of it.
      await delay(backoff(attempt));
      return true;
    }
    if (state === lockTimeout && (group.wait || (group.thorough && works.length === 1))) {
      this.queue.markContended(keysOf(works));
      this.putBack(works);
    } else if (state === lockTimeout && !group.thorough) {
      // Someone outside holds a row: the next attempt finds out whose, and goes on without it.
      group.thorough = true;
      return true;
    } else if (works.length > 1) {
      for (const half of group.halves()) {
        await this.commit(half);
        void this.answer();
      }
    } else if (state === uniqueViolation && attempt <= together) {
      // Someone else stored the same key meanwhile: loaded again, the domain sees it and decides.
      return true;
    } else {
      this.giveUp(group, isOfTheDatabase(error) ? notDone(error) : error, error);
    }
    return false;
  }

  private giveUp(group: GroupTransaction<Needs, Repository>, error: unknown, cause: unknown): void {
    this.observer?.groupEnded(group.works.length, 'failed');
    this.observer?.gaveUp?.(group.works.length, cause);
    for (const work of group.works) work.settle({ error });
  }

  private putBack(works: readonly Work<Needs, Repository>[]): void {
    this.queue.putBack(works.filter((work) => !work.settled));
  }

  /** Nobody waits for ever, not even for a database that has stopped. */
  private sweep(): void {
    if (this.unsettled.size === 0) {
      clearInterval(this.sweeper);
      this.sweeper = undefined;
      return;
    }
    const now = performance.now();
    for (const work of this.queue.drop((waiting) => now >= waiting.deadline)) work.settle({ error: new Overloaded() });
    for (const work of this.unsettled) {
      if (now < work.deadline) break;
      if (!work.begun) work.settle({ error: new Overloaded() });
      else if (now >= work.deadline + 2 * this.options.deadline) work.settle({ error: new OutcomeUnknown() });
    }
    this.pump();
  }
}

/** Whether the same may go through at another time: it is the database that cannot do it now. */
export const isOfTheDatabase = (error: unknown): boolean => {
  const state = sqlState(error) ?? '';
  return passes.has(state) || state === statementTimeout || state.startsWith(outOfResources);
};

export const notDone = (cause: unknown): Overloaded =>
  new Overloaded('The database cannot do it now. Nothing was changed; try again.', { cause });

/** Milliseconds to wait before attempt + 1: doubling up to half a second, with jitter. */
const backoff = (attempt: number): number => Math.min(500, 5 * 2 ** attempt) * (0.5 + Math.random() / 2);
