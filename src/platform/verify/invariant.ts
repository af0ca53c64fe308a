import type { Queryable } from '../database/database';
import { rowsOf } from './rows-of';

/**
 * Something that must hold for everything that is stored, at any moment. A provider that extends this class is found by
 * `batchwise verify`.
 */
export abstract class Invariant {
  /** What holds, as a sentence without its full stop; unique. */
  abstract readonly name: string;

  /**
   * Looks for what does not hold.
   * @param snapshot a transaction that sees one moment, and cannot write
   * @returns one line for each thing that is broken: what, and where
   */
  abstract check(snapshot: Queryable): AsyncIterable<string> | Promise<string[]>;
}

/** An invariant that one query checks: each of its rows says in the column `broken` what is broken, and where. */
export abstract class QueriedInvariant extends Invariant {
  protected abstract readonly query: string;

  async *check(snapshot: Queryable): AsyncGenerator<string> {
    for await (const { broken } of rowsOf<{ broken: string }>(snapshot, this.query)) yield broken;
  }
}
