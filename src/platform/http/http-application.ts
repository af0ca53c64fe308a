import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { DynamicModule, NestApplicationOptions, Type } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { v7 as uuid } from 'uuid';
import { StructuredLogger } from '../logging/structured-logger';
import { inContext } from '../request-context';
import { serveDocs } from './docs';
import { idPattern } from './fields';
import { readJsonBodies } from './json-body';
import { problem, problemOf } from './problem';
import { ProblemFilter } from './problem.filter';
import { SchemaPipe } from './schema.pipe';
import { Traffic } from './traffic';
import { knownMethods } from './unknown-route';

const bodyLimitBytes = 1024 * 1024;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const keepAliveTimeoutMs = 72_000;

/** The application of `module` on Fastify, set up for the wire and not yet listening. The same for the server and its tests. */
export async function createHttpApplication(
  module: Type | DynamicModule,
  options: NestApplicationOptions = {},
  logger?: StructuredLogger,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    http: { headersTimeout: headersTimeoutMs },
    routerOptions: { maxParamLength: 16 * 1024 },
    requestIdHeader: false,
    genReqId: ({ headers }: { headers: IncomingHttpHeaders }) => idFrom(headers['x-request-id']) ?? uuid(),
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerUnreadable,
  });
  const fastify = adapter.getInstance();
  readJsonBodies(fastify);
  const methodsOf = knownMethods(fastify);
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    bufferLogs: true,
    abortOnError: false,
    ...options,
  });
  if (!options.preview) follow(app, logger ?? app.get(StructuredLogger));
  app.useGlobalPipes(new SchemaPipe());
  app.useGlobalFilters(new ProblemFilter(methodsOf));
  serveDocs(app);
  return app;
}

/** Gives every request its ids and its context, counts it while it is answered, and logs at debug how it ended. */
function follow(app: NestFastifyApplication, logger: StructuredLogger): void {
  app.useLogger(logger);
  const traffic = app.get(Traffic);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, reply, done) => {
    traffic.requests.begin();
    // Closed it is in any case: answered, or left by its client.
    reply.raw.once('close', () => traffic.requests.end());
    const correlationId = idFrom(request.headers['x-correlation-id']) ?? request.id;
    reply.header('x-request-id', request.id);
    reply.header('x-correlation-id', correlationId);
    if (traffic.leaving) reply.header('connection', 'close');
    inContext({ actor: 'anonymous', correlationId, causationId: request.id }, done);
  });
  if (!logger.isLevelEnabled('debug')) return;
  const log = new Logger('Http');
  fastify.addHook('onResponse', ({ method, routeOptions, id }, { statusCode, elapsedTime }, done) => {
    log.debug({
      msg: 'request completed',
      method,
      route: routeOptions.url,
      status: statusCode,
      ms: elapsedTime,
      requestId: id,
    });
    done();
  });
}

const idFrom = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' && idPattern.test(header) ? header : undefined;

/** What the router refuses never reaches the application. */
function answerUnroutable(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const answer = problemOf(error, request.id);
  reply
    .status(answer.status)
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .send(JSON.stringify(answer));
}

/** What is not HTTP never becomes a request: the answer is written to the socket, which is closed. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const [status, phrase, code] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'Request Timeout', 'request-timeout']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'Request Header Fields Too Large', 'headers-too-large']
        : [400, 'Bad Request', 'malformed-request'];
  const body = JSON.stringify({
    ...problem(status, code, `${phrase}: the request could not be read.`),
    instance: `urn:batchwise:request:${uuid()}`,
  });
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
