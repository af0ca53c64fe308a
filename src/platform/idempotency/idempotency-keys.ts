import { DomainError, type ErrorKind } from '../../kernel/domain-error';
import type { Connection } from '../database/database';
import { allEnded } from '../in-parallel';
import type { Outcome } from '../unit-of-work/outcome';
import { IdempotencyInProgress, IdempotencyKeyReused } from './errors';
import type { Claim } from './idempotency-key';

/** Tried, never waited for: whoever waits behind a key would keep others waiting. */
const tryLocks = {
  name: 'idempotency-try-locks',
  text: `
    SELECT id, pg_try_advisory_xact_lock(hashtextextended('idempotency:' || id, 0)) AS had
    FROM unnest($1::text[]) AS id`,
};

const find = {
  name: 'idempotency-find',
  text: `
    SELECT scope, key, fingerprint, request_id AS "requestId", outcome FROM platform.idempotency_key
    WHERE (scope, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
      AND stored_at > clock_timestamp() - interval '7 days'`,
};

/** What is there already has expired. */
const insert = {
  name: 'idempotency-store',
  text: `
    INSERT INTO platform.idempotency_key (scope, key, fingerprint, request_id, outcome)
    SELECT scope, key, fingerprint, "requestId", outcome
    FROM json_to_recordset($1::json) AS new (scope text, key text, fingerprint text, "requestId" text, outcome json)
    ON CONFLICT (scope, key) DO UPDATE SET
      (fingerprint, request_id, outcome, stored_at) =
      ROW (excluded.fingerprint, excluded.request_id, excluded.outcome, excluded.stored_at)`,
};

/** As JSON has it. */
type StoredOutcome =
  | { readonly result?: unknown; readonly error?: never }
  | { readonly error: Pick<DomainError, 'code' | 'kind' | 'message' | 'details'> };

interface StoredAnswer {
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly requestId: string;
  readonly outcome: StoredOutcome;
}

interface Answer {
  readonly fingerprint: string;
  readonly requestId: string;
  readonly outcome: Outcome;
}

/** The idempotency keys of the works of one transaction, which holds and stores them. */
export class IdempotencyKeys {
  private readonly answers = new Map<string, Answer>();
  private readonly elsewhere = new Set<string>();
  private readonly decided: StoredAnswer[] = [];

  constructor(private readonly claims: readonly Claim[]) {}

  /** Whether there is something to store. */
  get haveAnswers(): boolean {
    return this.decided.length > 0;
  }

  /** Takes the keys that nobody else holds, and then looks up what is stored: all that those before had to say. */
  async look(connection: Connection): Promise<void> {
    const claims = [...new Map(this.claims.map((claim) => [idOf(claim), claim])).values()];
    const locked = connection.query<{ id: string; had: boolean }>(tryLocks, [claims.map(idOf)]);
    const stored = connection.query<StoredAnswer>(find, [
      claims.map(({ scope }) => scope),
      claims.map(({ key }) => key),
    ]);
    await allEnded([locked, stored]);
    for (const { id, had } of await locked) if (!had) this.elsewhere.add(id);
    for (const answer of await stored) this.answers.set(idOf(answer), { ...answer, outcome: revived(answer.outcome) });
  }

  /** What came of a claim before, or why it cannot be told; undefined: it is to be found out now, and kept. */
  outcomeOf(claim: Claim): Outcome | undefined {
    const answer = this.answers.get(idOf(claim));
    if (!answer) return this.elsewhere.has(idOf(claim)) ? { error: new IdempotencyInProgress(claim.key) } : undefined;
    if (answer.fingerprint !== claim.fingerprint) return { error: new IdempotencyKeyReused(claim.key) };
    return { ...answer.outcome, repeatOf: answer.requestId };
  }

  /** Keeps what came of a claim, if that was decided: what could not be done may be tried again. */
  keep({ scope, key, fingerprint, request }: Claim, outcome: Outcome): void {
    const stored = storedOf(outcome);
    if (!stored) return;
    this.answers.set(idOf({ scope, key }), { fingerprint, requestId: request.id, outcome });
    this.decided.push({ scope, key, fingerprint, requestId: request.id, outcome: stored });
  }

  /** Sends what was kept, without waiting for the answer. */
  store(connection: Connection): Promise<unknown>[] {
    return this.haveAnswers ? [connection.query(insert, [JSON.stringify(this.decided)])] : [];
  }
}

/** Neither part has a line break. */
const idOf = ({ scope, key }: { readonly scope: string; readonly key: string }): string => `${scope}\n${key}`;

function storedOf(outcome: Outcome): StoredOutcome | undefined {
  if (!('error' in outcome)) return { result: outcome.result };
  const { error } = outcome;
  if (!(error instanceof DomainError) || error.kind === 'unavailable') return undefined;
  const { code, kind, message, details } = error;
  return { error: { code, kind, message, details } };
}

function revived({ error, ...rest }: StoredOutcome): Outcome {
  if (!error) return { result: (rest as { result?: unknown }).result };
  return { error: new DomainError(error.code, error.kind satisfies ErrorKind, error.message, error.details) };
}
