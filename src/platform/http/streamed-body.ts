import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpError } from './problem';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The media type of bodies that the route reads while they arrive. */
    streams?: string;
  }
}

/** Milliseconds that a client may send nothing of what it is waited for. */
const patience = 30_000;
/** Milliseconds that a client has to finish a body whose rest is of no interest, while it misses the end of its answer. */
const patienceAtTheEnd = 2_000;

const streamed = new WeakSet<Socket>();

/** Whether a body is being read from a connection while it arrives: it may take as long as it goes on. */
export const isStreamed = (socket: Socket): boolean => streamed.has(socket);

const unsupported = (detail: string): HttpError => new HttpError(415, 'unsupported-media-type', detail);
const nothingCame = (): HttpError =>
  new HttpError(
    408,
    'request-timeout',
    `Nothing more came for ${patience / 1000} seconds.`,
    {},
    { connection: 'close' },
  );
const stopping = (): HttpError =>
  new HttpError(
    503,
    'stopping',
    'The service stops. It read no further; send the rest again.',
    {},
    { connection: 'close' },
  );

/** Hands bodies of a type on as they arrive, to the routes whose `@Endpoint` says that it `streams` them. */
export function streamBodies(fastify: FastifyInstance, type: string): void {
  fastify.addContentTypeParser(type, (request, payload, done) => {
    if (request.routeOptions.config.streams === type) done(null, payload);
    else done(unsupported('The body must be sent as application/json.'));
  });
}

/**
 * The body of a request to a route that streams, as it arrives. Of one that is not read to its end the rest is skipped, so that
 * the client gets its answer and the connection can go on.
 * @param stop when to read no further
 * @returns pieces; asking for them throws an HttpError once nothing comes any more, or at `stop`
 * @throws HttpError if it was sent as something else, or not at all
 */
export function streamedBody(request: FastifyRequest, stop?: AbortSignal): AsyncGenerator<Uint8Array> {
  const { streams } = request.routeOptions.config;
  const [type] = (request.headers['content-type'] ?? '').split(';', 1);
  if (type!.trim().toLowerCase() !== streams) throw unsupported(`The body must be sent as ${streams}.`);
  const body = request.body as Readable;
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    body.resume();
    throw unsupported('The body must be sent without a Content-Encoding.');
  }
  return piecesOf(body, request.raw.socket, stop);
}

/** Waits until the rest of a body that was left has arrived, or its client had two seconds to see that nobody reads it. */
export async function restSkipped({ raw }: FastifyRequest): Promise<void> {
  if (raw.readableEnded || raw.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, patienceAtTheEnd);
    raw.once('close', () => (clearTimeout(timer), resolve()));
  });
}

async function* piecesOf(body: Readable, socket: Socket, stop?: AbortSignal): AsyncGenerator<Uint8Array> {
  const pieces = body.iterator({ destroyOnReturn: false }) as AsyncGenerator<Uint8Array>;
  streamed.add(socket);
  try {
    for (let piece = await next(pieces, stop); !piece.done; piece = await next(pieces, stop)) yield piece.value;
  } finally {
    streamed.delete(socket);
    limit(body);
    void pieces.return(undefined).then(() => body.resume());
  }
}

/** @throws HttpError */
function next<T>(pieces: AsyncGenerator<T>, stop?: AbortSignal): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    const atStop = (): void => reject(stopping());
    const timer = setTimeout(() => reject(nothingCame()), patience);
    if (stop?.aborted) atStop();
    stop?.addEventListener('abort', atStop);
    void pieces
      .next()
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        stop?.removeEventListener('abort', atStop);
      });
  });
}

/** Nobody waits for ever, not even for what is of no interest. */
function limit(body: Readable): void {
  if (body.destroyed || body.readableEnded) return;
  const timer = setTimeout(() => body.destroy(), patience).unref();
  body.once('close', () => clearTimeout(timer));
}
