import { createHash } from 'node:crypto';

/** What an idempotency key must know of its request. */
export interface KeyedRequest {
  readonly id: string;
  /** Everything that it asks for, as JSON. Not called before it was found to be well-formed. */
  content(): unknown;
  /** Called when the answer is the one that another request got, with the id of that request. */
  repeats(requestId: string): void;
}

/** What one unit of work claims under an idempotency key: to be the only one that takes effect. */
export interface Claim {
  readonly scope: string;
  readonly key: string;
  /** The same for requests that ask for the same. */
  readonly fingerprint: string;
  readonly request: KeyedRequest;
}

/** The `Idempotency-Key` of a request: however often it is sent, it takes effect once and gets the same answer. */
export class IdempotencyKey {
  #claims = 0;

  /** @param scope who asks, and for which operation: only there the key means the same */
  constructor(
    private readonly scope: string,
    private readonly key: string,
    private readonly request: KeyedRequest,
  ) {}

  /** A claim for the next unit of work of the request: its first, second … each keeps an outcome of its own. */
  claim(): Claim {
    const { scope, key, request } = this;
    this.#claims += 1;
    return {
      scope: this.#claims === 1 ? scope : `${scope} #${this.#claims}`,
      key,
      fingerprint: fingerprintOf(request.content()),
      request,
    };
  }
}

/** The order in which members were written means nothing. */
const inOneOrder = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

const fingerprintOf = (content: unknown): string =>
  createHash('sha256').update(JSON.stringify(content, inOneOrder)).digest('hex');
