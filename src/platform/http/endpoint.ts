import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiHeader, ApiOperation, ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { aboutKeys, keyHeader, keyNotSupported, replayedHeader } from './idempotency-docs';
import { Problem, problem } from './problem';
import type { Scope } from './scope';

/** An answer that an operation gives, for its documentation. */
export interface Answer {
  readonly description: string;
  readonly content: Readonly<Record<string, object>>;
  readonly headers?: Readonly<Record<string, object>>;
}

/** A problem that an operation answers with, and what it looks like. */
export type ProblemExample = ReturnType<typeof problem>;

interface Operation {
  readonly summary: string;
  /** What a credential must allow. */
  readonly scope: Scope;
  readonly description?: string;
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly problems?: readonly ProblemExample[];
  /** How errors are told, if not as problems. */
  readonly errors?: 'message';
  /** The media type of a body that is read while it arrives; see `streamedBody`. */
  readonly streams?: string;
}

const reference = (schema: z.ZodType): object => ({ $ref: `#/components/schemas/${z.globalRegistry.get(schema)?.id}` });

/** A JSON answer. Its schema must have an id: `.meta({ id })`. */
export const json = <T>(
  description: string,
  schema: z.ZodType<T>,
  example: T,
  headers?: Answer['headers'],
): Answer => ({
  description,
  content: { 'application/json': { schema: reference(schema), example } },
  ...(headers && { headers }),
});

/** A plain text answer. */
export const text = (description: string, example: string): Answer => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' }, example } },
});

/** The header that says where the thing is that was made. */
export const locationHeader = {
  location: { description: 'Where it is found from now on.', schema: { type: 'string', format: 'uri-reference' } },
};

/**
 * Says what a credential must allow for an operation, and documents it: what it is called, what it is for, and everything that
 * it answers. It takes the place of `@RouteConfig`. One that changes something, as its problems say ({@link busy}), takes an
 * idempotency key, unless its body streams.
 */
export function Endpoint(
  operationId: string,
  { summary, scope, description, answers, problems = [], errors, streams }: Operation,
): MethodDecorator {
  const usual = [...(scope === 'public' ? [] : notAdmitted(scope)), internal].filter(
    ({ status, code }) => !(status in answers) && problems.every((problem) => problem.code !== code),
  );
  const keyed = streams === undefined && problems.includes(outcomeUnknown);
  const failures = [...problems, ...(keyed ? aboutKeys : streams ? [keyNotSupported] : []), ...usual];
  return applyDecorators(
    RouteConfig({ scope, ...(errors && { errors }), ...(streams && { streams }) }),
    ApiOperation({
      operationId,
      summary,
      security: securityOf(scope),
      ...(description !== undefined && { description }),
    }),
    ...(keyed ? [ApiHeader(keyHeader)] : []),
    ...Object.entries(answers).map(([status, { headers, ...answer }]: [string, Answer]) =>
      ApiResponse({
        status: Number(status),
        ...(answer as object),
        ...((headers ?? keyed) && { headers: { ...headers, ...(keyed && replayedHeader) } }),
      }),
    ),
    ...[...new Set(failures.map(({ status }) => status))].map((status) =>
      ApiResponse({ status, ...(failure(failures.filter((problem) => problem.status === status)) as object) }),
    ),
  );
}

function failure(examples: readonly ProblemExample[]): Answer {
  return {
    description: examples.map(({ code }) => `\`${code}\``).join(', '),
    content: {
      'application/problem+json': {
        schema: reference(Problem),
        examples: Object.fromEntries(
          examples.map((example) => [
            example.code,
            {
              summary: example.title,
              value: { ...example, instance: 'urn:batchwise:request:0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47' },
            },
          ]),
        ),
      },
    },
    ...(examples.some(({ status }) => status === 503 || status === 429) && {
      headers: { 'retry-after': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
    }),
    ...(examples.some(({ status }) => status === 401) && {
      headers: { 'www-authenticate': { description: 'What is missing.', schema: { type: 'string' } } },
    }),
  };
}

/** Either kind of credential will do. */
const securityOf = (scope: Scope): Record<string, string[]>[] =>
  scope === 'public' ? [] : [{ apiKey: [scope] }, { accessToken: [scope] }];

/** What every operation may answer that asks for a credential. */
const notAdmitted = (scope: Scope) => [
  problem(401, 'unauthenticated', 'The credential is not valid.'),
  problem(403, 'forbidden', `The credential does not allow this: it lacks the scope ${scope}.`, { scope }),
  problem(
    403,
    'not-local',
    'Without any credential only requests are answered whose Host and Origin are localhost, 127.0.0.1 or [::1].',
  ),
  problem(429, 'rate-limited', 'Too many requests.'),
  overloaded,
  problem(503, 'issuer-unavailable', 'The credential cannot be checked: its issuer does not answer. Try again.'),
];

const internal = problem(500, 'internal', 'The service failed; the log of the service tells more by the request id.');

export const invalidRequest = problem(400, 'invalid-request', 'qty: Too small: expected number to be >=1', {
  errors: [{ path: 'qty', message: 'Too small: expected number to be >=1' }],
});

/** What every operation that reads a JSON body may answer. */
export const badBody = [
  invalidRequest,
  problem(400, 'malformed-json', 'The body is empty.'),
  problem(413, 'body-too-large', 'The body is larger than this service reads.'),
  problem(415, 'unsupported-media-type', 'The body must be sent as application/json.'),
];

const outcomeUnknown = problem(
  503,
  'outcome-unknown',
  'The request may or may not have taken effect. Send the same request again.',
);

/** What every operation may answer that asks the database. */
export const overloaded = problem(
  503,
  'overloaded',
  'The service has more work waiting than it can take. Nothing was changed; try again.',
);

/** What every operation that changes something may answer. */
export const busy = [overloaded, outcomeUnknown];
