import { IdempotencyInProgress, IdempotencyKeyReused } from '../idempotency/errors';
import { IdempotencyKeyNotSupported, idempotencyKeyPattern, InvalidIdempotencyKey } from './idempotency';
import { type Problem, problemOf } from './problem';

const example = '5f0c6a1e-order-117';

const exampleOf = (error: Error): Problem => problemOf(error, '');

export const keyHeader = {
  name: 'Idempotency-Key',
  description:
    'Chosen by the client, for this request and no other. Sent again with it within seven days, the request gets the answer ' +
    'that it got before, and has no further effect.',
  required: false,
  schema: { type: 'string', pattern: idempotencyKeyPattern.source, example },
};

export const replayedHeader = {
  'idempotency-replayed': {
    description: '`true`: this is the answer that an earlier request with the same Idempotency-Key got.',
    schema: { type: 'string' },
  },
};

/** What every operation may answer that takes an idempotency key. */
export const aboutKeys = [
  new InvalidIdempotencyKey(),
  new IdempotencyInProgress(example),
  new IdempotencyKeyReused(example),
].map(exampleOf);

/** What an operation answers that streams, and so takes none. */
export const keyNotSupported = exampleOf(new IdempotencyKeyNotSupported());
