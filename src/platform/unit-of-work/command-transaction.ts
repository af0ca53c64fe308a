import { OutcomeUnknown } from '../../kernel/unit-of-work';
import { type Connection, type Database, isConnectionLost } from '../database/database';
import type { Claim } from '../idempotency/idempotency-key';
import { IdempotencyKeys } from '../idempotency/idempotency-keys';
import { currentContext } from '../request-context';
import type { Outcome } from './outcome';

/**
 * Runs a command that changes no aggregate in a transaction of its own; if its request has an idempotency key, once. It is not
 * tried again.
 * @param work what it throws as a refusal (DomainError) must be thrown before it has changed anything
 * @throws what `work` throws; OutcomeUnknown when it cannot be told whether it was committed
 */
export async function commandTransaction<T>(
  database: Database,
  work: (transaction: Connection) => Promise<T>,
): Promise<T> {
  const claim = currentContext().idempotencyKey?.claim();
  const transaction = claim
    ? database.transaction((connection) => once(claim, connection, work))
    : database.transaction(work).then((result): Outcome => ({ result }));
  const outcome = await transaction.catch((error: unknown) => {
    throw isConnectionLost(error) ? new OutcomeUnknown() : error;
  });
  if (outcome.repeatOf !== undefined) claim?.request.repeats(outcome.repeatOf);
  if ('error' in outcome) throw outcome.error;
  return outcome.result as T;
}

async function once<T>(
  claim: Claim,
  connection: Connection,
  work: (transaction: Connection) => Promise<T>,
): Promise<Outcome> {
  const keys = new IdempotencyKeys([claim]);
  await keys.look(connection);
  const known = keys.outcomeOf(claim);
  if (known) return known;
  const outcome = await work(connection).then(
    (result): Outcome => ({ result }),
    (error: unknown): Outcome => ({ error }),
  );
  keys.keep(claim, outcome);
  if ('error' in outcome && !keys.haveAnswers) throw outcome.error;
  await Promise.all(keys.store(connection));
  return outcome;
}
