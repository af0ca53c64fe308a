import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { DomainError, type ErrorKind } from '../../kernel/domain-error';

/** An error answer (RFC 9457, `application/problem+json`); its code may add further members. */
export const Problem = z
  .looseObject({
    type: z.string().describe('Identifies the kind of problem: `urn:batchwise:problem:<code>`.'),
    title: z.string().describe('The kind of problem in words; the same for every occurrence.'),
    status: z.int().min(400).max(599).describe('The HTTP status.'),
    detail: z.string().describe('What happened this time, in one sentence for a person.'),
    code: z.string().describe('What a program should look at: stable, in kebab case.'),
    instance: z.string().describe('Identifies this occurrence by the request id.'),
    errors: z
      .array(z.object({ path: z.string().describe('Where, `lines.3.qty`; empty: the whole.'), message: z.string() }))
      .optional()
      .describe('What is wrong with the request, by place; for the code `invalid-request`.'),
  })
  .meta({ id: 'Problem', description: 'An error answer (RFC 9457). Further members depend on the code.' });

export type Problem = z.output<typeof Problem>;

/** An error of HTTP itself: nothing that the domain knows. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    /** Headers of the answer. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** The request is not what the operation asks for. */
export class InvalidRequest extends HttpError {
  constructor(errors: readonly { readonly path: string; readonly message: string }[]) {
    const [first, ...others] = errors;
    const detail = `${first?.path ? `${first.path}: ` : ''}${first?.message ?? 'not what is expected'}`;
    super(400, 'invalid-request', others.length === 0 ? detail : `${detail} (and ${others.length} more)`, { errors });
  }
}

const statusOf: Record<ErrorKind, number> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  mismatch: 422,
  unavailable: 503,
};

/** What Fastify refuses on its own, by its code: our code and a sentence of ours. */
const refusals: Record<string, readonly [code: string, detail: string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'The body is larger than this service reads.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported-media-type', 'The body must be sent as application/json.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['malformed-request', 'The body is not as long as its Content-Length says.'],
  FST_ERR_BAD_URL: ['malformed-url', 'The URL is not encoded as a URL must be.'],
};

const title = (code: string): string => `${code.charAt(0).toUpperCase()}${code.slice(1).replaceAll('-', ' ')}`;

/** A problem without the members that depend on the occurrence. `details` cannot replace the standard members. */
export function problem(status: number, code: string, detail: string, details: Readonly<Record<string, unknown>> = {}) {
  const standard = { type: `urn:batchwise:problem:${code}`, title: title(code), status, detail, code };
  return { ...standard, ...details, ...standard };
}

/** What the client is told about an error. Of an unexpected one it learns nothing but that it happened. */
export function problemOf(error: unknown, requestId: string): Problem {
  const instance = `urn:batchwise:request:${requestId}`;
  if (error instanceof DomainError)
    return { ...problem(statusOf[error.kind], error.code, error.message, error.details), instance };
  if (error instanceof HttpError)
    return { ...problem(error.status, error.code, error.message, error.details), instance };
  const { statusCode, code } = refusalOf(error);
  if (statusCode < 400 || statusCode > 499)
    return {
      ...problem(500, 'internal', 'The service failed; the log of the service tells more by the request id.'),
      instance,
    };
  const phrase = STATUS_CODES[statusCode] ?? 'Bad Request';
  const [ours, detail] = refusals[code] ?? [phrase.toLowerCase().replaceAll(/[^a-z]+/g, '-'), `${phrase}.`];
  return { ...problem(statusCode, ours, detail), instance };
}

/** Fastify's errors reach the filter as they are or, in an HttpException of the framework, as its cause. */
function refusalOf(error: unknown): { statusCode: number; code: string } {
  if (!(error instanceof Error)) return { statusCode: 500, code: '' };
  const { statusCode, status, code } = { ...error, ...(error.cause ?? {}) } as Record<string, unknown>;
  return { statusCode: Number(statusCode ?? status ?? 500), code: typeof code === 'string' ? code : '' };
}
