import { Overloaded } from '../../kernel/unit-of-work';
import type { Queryable } from '../database/database';
import { currentContext } from '../request-context';
import { Turns } from '../turns';
import { readStream } from './event-log-reader';
import type { StoredEvent } from './stored-event';

/** Two at once keep a processor busy, and leave the requests that are short their part of it. */
const turns = new Turns(2, 32, 10_000);

/**
 * Like {@link readStream}, for those who ask from outside: a long stream takes seconds, so they read in turn, and no further
 * than somebody waits for the answer.
 * @throws Overloaded
 */
export async function* readStreamInTurn(
  database: Queryable,
  stream: string,
  upTo?: string,
): AsyncGenerator<readonly StoredEvent[]> {
  const { isAbandoned } = currentContext();
  const end = await turns.take();
  try {
    for await (const events of readStream(database, stream, upTo)) {
      if (isAbandoned?.()) throw new Overloaded('Nobody waits for the answer any more.');
      yield events;
    }
  } finally {
    end();
  }
}
