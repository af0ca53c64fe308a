import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { DynamicModule, NestApplicationOptions, Type } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Config } from '../config';
import { inNetworks } from '../credentials/address';
import { Authorization } from '../credentials/authorization';
import { StructuredLogger } from '../logging/structured-logger';
import { newId } from '../new-id';
import { inContext, type RequestContext } from '../request-context';
import { type Attributes, inRequestSpan, traceOf } from '../tracing/spans';
import { declareScopes } from './declared-scopes';
import { serveDocs } from './docs';
import { idPattern } from './fields';
import { answerHeaders } from './headers';
import { idempotencyKeyOf } from './idempotency';
import { readJsonBodies } from './json-body';
import { problem, problemOf } from './problem';
import { ProblemFilter } from './problem.filter';
import { SchemaPipe } from './schema.pipe';
import { isStreamed, streamBodies } from './streamed-body';
import { Traffic } from './traffic';
import { UnfinishedAnswers } from './unfinished-answers';
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
  let isTrustedProxy: (address: string) => boolean = () => false;
  const adapter = new FastifyAdapter({
    trustProxy: (address: string) => isTrustedProxy(address),
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    http: { headersTimeout: headersTimeoutMs },
    routerOptions: { maxParamLength: 16 * 1024 },
    requestIdHeader: false,
    genReqId: ({ headers }: { headers: IncomingHttpHeaders }) => idFrom(headers['x-request-id']) ?? newId(),
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerUnreadable,
  });
  const fastify = adapter.getInstance();
  readJsonBodies(fastify);
  streamBodies(fastify, 'text/csv');
  streamBodies(fastify, 'application/x-ndjson');
  const methodsOf = knownMethods(fastify);
  declareScopes(fastify);
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    bufferLogs: true,
    abortOnError: false,
    ...options,
  });
  if (!options.preview) {
    isTrustedProxy = inNetworks(app.get(Config).trustedProxies);
    follow(app, logger ?? app.get(StructuredLogger));
  }
  app.useGlobalPipes(new SchemaPipe());
  app.useGlobalFilters(new ProblemFilter(methodsOf));
  serveDocs(app);
  return app;
}

/**
 * Admits requests or refuses them, before their bodies are read. Gives every one its ids and its context, counts it while it is
 * answered, and logs at debug how it ended.
 */
function follow(app: NestFastifyApplication, logger: StructuredLogger): void {
  app.useLogger(logger);
  const traffic = app.get(Traffic);
  const authorization = app.get(Authorization);
  const unfinished = app.get(UnfinishedAnswers);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, reply, done) => {
    traffic.requests.begin();
    // Closed it is in any case: answered, or left by its client.
    reply.raw.once('close', () => {
      traffic.requests.end();
      traffic.answered(reply.raw.headersSent ? reply.raw.statusCode : 0, reply.elapsedTime);
      unfinished.forget(reply);
    });
    unfinished.watch(reply);
    const correlationId = idFrom(request.headers['x-correlation-id']) ?? traceOf(request.headers) ?? request.id;
    reply.headers(answerHeaders);
    reply.header('x-request-id', request.id);
    reply.header('x-correlation-id', correlationId);
    if (traffic.leaving) reply.header('connection', 'close');
    const contextOf = (actor: string): RequestContext => ({
      actor,
      correlationId,
      causationId: request.id,
      isAbandoned: endOf(reply.raw),
      idempotencyKey: idempotencyKeyOf(request, reply, actor),
    });
    const goOn = (context: RequestContext): void =>
      inContext(context, () => inRequestSpan(() => spanOf(request, reply, correlationId), done));
    const actor = authorization.admit(request, reply);
    if (typeof actor === 'string') goOn(contextOf(actor));
    else void actor.then(contextOf).then(goOn, done);
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

/**
 * Tells whether a request is over: answered, or left by its client. Does not hold the request: the context that this is a part
 * of outlives it, as a connection's timer keeps that of its last request until the next one is answered.
 */
function endOf(response: ServerResponse): () => boolean {
  let isOver = response.destroyed;
  response.once('close', () => (isOver = true));
  return () => isOver;
}

const spanOf = (
  { method, routeOptions, headers, id }: FastifyRequest,
  { raw }: FastifyReply,
  correlationId: string,
) => ({
  name: `${method} ${routeOptions.url ?? ''}`.trimEnd(),
  correlationId,
  headers,
  attributes: {
    'http.request.method': method,
    ...(routeOptions.url !== undefined && { 'http.route': routeOptions.url }),
    'batchwise.request_id': id,
  },
  over: (end: (attributes: Attributes, failed: boolean) => void): void => {
    raw.once('close', () => end({ 'http.response.status_code': raw.statusCode }, raw.statusCode >= 500));
  },
});

const idFrom = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' && idPattern.test(header) ? header : undefined;

/** What the router refuses never reaches the application. */
function answerUnroutable(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const answer = problemOf(error, request.id);
  reply
    .status(answer.status)
    .headers(answerHeaders)
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .send(JSON.stringify(answer));
}

/** What is not HTTP never becomes a request: the answer is written to the socket, which is closed. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && isStreamed(socket)) return; // It may take long, if only it goes on.
  const [status, phrase, code] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'Request Timeout', 'request-timeout']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'Request Header Fields Too Large', 'headers-too-large']
        : [400, 'Bad Request', 'malformed-request'];
  const body = JSON.stringify({
    ...problem(status, code, `${phrase}: the request could not be read.`),
    instance: `urn:batchwise:request:${newId()}`,
  });
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
