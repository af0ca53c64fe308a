import { NotLoaded } from '../../kernel/unit-of-work';
import type { Connection } from '../database/database';
import type { AggregateSession, SessionEvent } from './aggregate-store';

/** What became of a work: its result and the events it recorded, or what it threw. */
export type Attempted<T> =
  { readonly result: T; readonly events: readonly SessionEvent[] } | { readonly error: unknown };

/**
 * Attempts a work, and again whenever it asked for something that had to be loaded.
 * @param goOn asked before every attempt
 * @returns undefined if it was not to go on
 * @throws what loading throws
 */
export async function attemptLoading<Needs, Repository, T>(
  session: AggregateSession<Needs, Repository>,
  connection: Connection,
  work: (repository: Repository) => T,
  goOn: () => boolean,
): Promise<Attempted<T> | undefined> {
  for (let asked = ''; goOn();) {
    try {
      return session.attempt(work);
    } catch (error) {
      // A work that asks for what it was just given would go on for ever: a mistake in its aggregate.
      const needs = error instanceof NotLoaded ? JSON.stringify(error.needs) : asked;
      if (needs === asked) return { error };
      asked = needs;
      await session.loadMore(connection, (error as NotLoaded<Needs>).needs);
    }
  }
  return undefined;
}
