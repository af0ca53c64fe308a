import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { HttpError } from './problem';

/** The body cannot be read as JSON. It was read to its end, so the connection can go on. */
export class MalformedJson extends HttpError {
  constructor(detail: string) {
    super(400, 'malformed-json', detail);
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Reads bodies as JSON in UTF-8, and no others. A byte order mark is skipped; keys that could reach a prototype are
 * refused; of a key that occurs twice the last value counts.
 */
export function readJsonBodies(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      return done(new HttpError(415, 'unsupported-media-type', 'The body must be sent without a Content-Encoding.'));
    if (body.length === 0)
      return request.method === 'DELETE' ? done(null, undefined) : done(new MalformedJson('The body is empty.'));
    if (!isUtf8(body)) return done(new MalformedJson('The body is not UTF-8.'));
    const text = body.toString('utf8', body.subarray(0, 3).equals(byteOrderMark) ? 3 : 0);
    void parse(request, text, (error, value) => (error ? done(new MalformedJson(fault(text))) : done(null, value)));
  });
}

function fault(text: string): string {
  try {
    JSON.parse(text);
    return 'The body has a key that could reach a prototype.';
  } catch (error) {
    return `The body is not valid JSON: ${(error as Error).message}`;
  }
}
