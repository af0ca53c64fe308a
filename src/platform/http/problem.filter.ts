import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { DomainError } from '../../kernel/domain-error';
import { MalformedJson } from './json-body';
import { HttpError, type Problem, problemOf } from './problem';
import { UnknownRoute } from './unknown-route';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * `message`: errors are told as `{"message": …}`, and whatever is wrong with a request has status 400. What is wrong with
     * its credential keeps its own.
     */
    errors?: 'message';
  }
}

/** Statuses that tell a client to do something else than to correct the request. */
const aboutCredentials = [401, 403, 429];

/** Turns every error into an answer: the only place that knows both the errors and HTTP. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #log = new Logger('Http');

  constructor(private readonly methodsOf: (path: string) => string[]) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (reply.sent) return;
    const problem = problemOf(this.#meant(error, request), request.repeatOf ?? request.id);
    if (problem.status >= 500) this.#report(error, problem, request);
    if (problem.status === 503) reply.header('retry-after', '1');
    if (error instanceof HttpError) reply.headers(error.headers);
    if (problem.status === 405) reply.header('allow', (problem.allowed as string[]).join(', '));
    if (error instanceof MalformedJson) reply.removeHeader('connection');
    if (request.routeOptions.config.errors === 'message') {
      const told = problem.status >= 500 || aboutCredentials.includes(problem.status);
      const status = told ? problem.status : 400;
      reply.status(status).header('content-type', 'application/json; charset=utf-8').send({ message: problem.detail });
    } else {
      reply.status(problem.status).header('content-type', 'application/problem+json; charset=utf-8').send(problem);
    }
  }

  /** The framework says of a request that matches no route only that something was not found. */
  #meant(error: unknown, request: FastifyRequest): unknown {
    if (!request.is404) return error;
    const [path = ''] = request.url.split('?', 1);
    return new UnknownRoute(request.method, path.slice(0, 200), this.methodsOf(path));
  }

  /** An expected refusal is no news for the log, least of all when there are many of them. */
  #report(error: unknown, { status, code }: Problem, request: FastifyRequest): void {
    const fields = { method: request.method, route: request.routeOptions.url, status, code, requestId: request.id };
    if (error instanceof DomainError) this.#log.debug({ msg: error.message, ...fields });
    else this.#log.error({ msg: 'The request failed.', ...fields, err: error });
  }
}
