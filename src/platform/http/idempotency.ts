import type { FastifyReply, FastifyRequest } from 'fastify';
import { IdempotencyKey } from '../idempotency/idempotency-key';
import { HttpError } from './problem';

declare module 'fastify' {
  interface FastifyRequest {
    /** The id of the request whose answer is given again. */
    repeatOf?: string;
  }
}

/** Those that change something. */
const methods = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** Printable ASCII. */
export const idempotencyKeyPattern = /^[\x20-\x7e]{1,255}$/;

export class InvalidIdempotencyKey extends HttpError {
  constructor() {
    super(400, 'invalid-idempotency-key', 'An Idempotency-Key is 1 to 255 printable characters of ASCII.');
  }
}

/** What streams takes effect piece by piece, in many transactions: no answer to the whole is ever stored. */
export class IdempotencyKeyNotSupported extends HttpError {
  constructor() {
    super(
      400,
      'idempotency-key-not-supported',
      'This operation takes no Idempotency-Key: its parts take effect one by one, and are safe to repeat.',
    );
  }
}

/**
 * The idempotency key of a request that is handled as `actor`, if it has one. An answer that is given again will say so.
 * @throws InvalidIdempotencyKey, IdempotencyKeyNotSupported
 */
export function idempotencyKeyOf(
  request: FastifyRequest,
  reply: FastifyReply,
  actor: string,
): IdempotencyKey | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined || !methods.has(request.method) || request.is404) return undefined;
  const { url, config } = request.routeOptions;
  if (config.streams !== undefined) throw new IdempotencyKeyNotSupported();
  if (typeof key !== 'string' || !idempotencyKeyPattern.test(key)) throw new InvalidIdempotencyKey();
  return new IdempotencyKey(`${actor} ${request.method} ${url}`, key, {
    id: request.id,
    content: () => [request.params, request.query, request.body],
    repeats: (requestId) => {
      request.repeatOf = requestId;
      reply.header('idempotency-replayed', 'true');
    },
  });
}
