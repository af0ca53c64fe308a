import type { IncomingHttpHeaders } from 'node:http';
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
import { inContext } from '../request-context';
import { declareScopes } from './declared-scopes';
import { serveDocs } from './docs';
import { idPattern } from './fields';
import { answerHeaders } from './headers';
import { readJsonBodies } from './json-body';
import { problem, problemOf } from './problem';
import { ProblemFilter } from './problem.filter';
import { SchemaPipe } from './schema.pipe';
import { streamBodies } from './streamed-body';
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
      unfinished.forget(reply);
    });
    unfinished.watch(reply);
    const correlationId = idFrom(request.headers['x-correlation-id']) ?? request.id;
    reply.headers(answerHeaders);
    reply.header('x-request-id', request.id);
    reply.header('x-correlation-id', correlationId);
    if (traffic.leaving) reply.header('connection', 'close');
    const admit = (actor: string) => inContext({ actor, correlationId, causationId: request.id }, done);
    const actor = authorization.admit(request, reply);
    if (typeof actor === 'string') admit(actor);
    else void actor.then(admit, done);
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
    instance: `urn:batchwise:request:${newId()}`,
  });
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
