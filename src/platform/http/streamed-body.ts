import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpError } from './problem';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The media type of bodies that the route reads while they arrive. */
    streams?: string;
  }
}

const unsupported = (detail: string): HttpError => new HttpError(415, 'unsupported-media-type', detail);

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
 * @throws HttpError if it was sent as something else, or not at all
 */
export async function* streamedBody(request: FastifyRequest): AsyncGenerator<Uint8Array> {
  const { streams } = request.routeOptions.config;
  const [type] = (request.headers['content-type'] ?? '').split(';', 1);
  if (type!.trim().toLowerCase() !== streams) throw unsupported(`The body must be sent as ${streams}.`);
  const body = request.body as Readable;
  const encoding = request.headers['content-encoding'];
  try {
    if (encoding !== undefined && encoding !== 'identity')
      throw unsupported('The body must be sent without a Content-Encoding.');
    yield* body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } finally {
    body.resume();
  }
}
