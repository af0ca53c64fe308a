import { DomainError } from '../../kernel/domain-error';

/** The key came with a request that asked for something else. */
export class IdempotencyKeyReused extends DomainError {
  constructor(key: string) {
    super('idempotency-key-reused', 'mismatch', 'The Idempotency-Key was used for another request before.', { key });
  }
}

/** A request with the key is being worked on. */
export class IdempotencyInProgress extends DomainError {
  constructor(key: string) {
    super(
      'idempotency-in-progress',
      'conflict',
      'A request with this Idempotency-Key is in progress. Send the same request again to get its answer.',
      { key },
    );
  }
}
