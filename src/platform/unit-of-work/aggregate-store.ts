import type { RecordedEvent } from '../../kernel/aggregate-root';
import type { Connection, Queryable } from '../database/database';

/** An event of an aggregate, as a session hands it over. */
export interface SessionEvent extends RecordedEvent {
  readonly key: string;
  /** ISO instant with microseconds, never before that of the aggregate's event before. */
  readonly occurredAt: string;
}

/**
 * What the grouping unit of work must know of a kind of aggregate: which aggregates the needs of a work lead to, and how
 * they are loaded and stored. A module implements it once for its aggregate.
 */
export abstract class AggregateStore<Needs, Repository> {
  /** The kind of aggregate: the first part of its streams' names, `product` in `product:<sku>`. */
  abstract readonly kind: string;

  /** The keys that needs name by themselves; undefined if something else leads to them and must be looked up. */
  abstract keysNamedBy(needs: Needs): readonly string[] | undefined;

  /** Looks up the keys that each of the needs leads to. What is not found leads nowhere. */
  abstract findKeys(needs: readonly Needs[], database: Queryable): Promise<readonly (readonly string[])[]>;

  abstract open(): AggregateSession<Needs, Repository>;
}

/**
 * The aggregates of one transaction. The unit of work calls load once, then keysOf and attempt for every work
 * (loadMore in between where something was missing), then store.
 */
export interface AggregateSession<Needs, Repository> {
  /**
   * Loads what is needed of the aggregates whose keys are locked.
   * @param options.now database clock, read after the locks: ISO instant with microseconds
   * @param options.wait whether to wait for aggregates whose rows someone outside has locked
   * @param options.thorough whether to look at all rows of the aggregates for such locks, which costs more: storing has
   * met one before
   * @param options.readOnly nothing is locked, because nothing will be stored; several loads of other keys may follow
   * @returns the keys of those that were not waited for
   */
  load(
    connection: Connection,
    keys: readonly string[],
    needs: readonly Needs[],
    options: {
      readonly now: string;
      readonly wait: boolean;
      readonly thorough: boolean;
      readonly readOnly?: boolean;
    },
  ): Promise<readonly string[]>;

  /** Loads what an aggregate found missing, of the aggregates that are loaded. */
  loadMore(connection: Connection, needs: Needs): Promise<void>;

  /** The keys that needs lead to by what was loaded, which may be more than was known before the lock. */
  keysOf(needs: Needs): readonly string[];

  /**
   * Runs a work on copies of the aggregates, which become the aggregates if it returns.
   * @returns its result and the events it recorded
   * @throws what it throws; then nothing has changed. NotLoaded: load what it names and attempt it again.
   */
  attempt<T>(work: (repository: Repository) => T): { readonly result: T; readonly events: readonly SessionEvent[] };

  /**
   * Sends the net change of all attempts, without waiting for answers: COMMIT is sent right behind. A statement that finds
   * something stored otherwise than it was loaded must fail.
   */
  store(connection: Connection): Promise<unknown>[];
}
