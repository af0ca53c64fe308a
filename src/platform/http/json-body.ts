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

/** Reads bodies as JSON in UTF-8, and no others; see {@link parseJson}. A byte order mark is skipped. */
export function readJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      return done(new HttpError(415, 'unsupported-media-type', 'The body must be sent without a Content-Encoding.'));
    if (body.length === 0)
      return request.method === 'DELETE' ? done(null, undefined) : done(new MalformedJson('The body is empty.'));
    if (!isUtf8(body)) return done(new MalformedJson('The body is not UTF-8.'));
    const text = body.toString('utf8', body.subarray(0, 3).equals(byteOrderMark) ? 3 : 0);
    let value: unknown;
    try {
      value = parseJson(text);
    } catch (error) {
      return done(error as MalformedJson);
    }
    done(null, value);
  });
}

/** What a text must contain for one of its keys to reach a prototype, however the key is written. */
const suspect = /__proto__|constructor|\\u/;

/**
 * What a text in JSON says. Of a key that occurs twice the last value counts.
 * @param what the text is called in a refusal
 * @throws MalformedJson also if a key could reach a prototype
 */
export function parseJson(text: string, what = 'body'): unknown {
  const value = valueOf(text, what);
  if (suspect.test(text) && reachesPrototype(value))
    throw new MalformedJson(`The ${what} has a key that could reach a prototype.`);
  return value;
}

function valueOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new MalformedJson(`The ${what} is not valid JSON: ${(error as Error).message}`);
  }
}

/** `__proto__`, or `constructor.prototype`, anywhere. */
function reachesPrototype(value: unknown): boolean {
  const open = [value];
  while (open.length > 0) {
    const one = open.pop();
    if (typeof one !== 'object' || one === null) continue;
    if (Object.hasOwn(one, '__proto__')) return true;
    if (Object.hasOwn(one, 'constructor') && Object.hasOwn(Object(one.constructor) as object, 'prototype')) return true;
    for (const member of Object.values(one)) open.push(member);
  }
  return false;
}
