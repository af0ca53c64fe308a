import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Authorization } from '../credentials/authorization';
import { Worker } from '../workers';
import { isStreamed } from './streamed-body';

/** Milliseconds between looks; together with the age of what is known of keys less than the five seconds of a revocation. */
const every = 2_000;

/** Ends answers that go on for long, as streams do, once their credential is no longer valid. */
@Injectable()
export class UnfinishedAnswers extends Worker {
  readonly #replies = new Set<FastifyReply>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly authorization: Authorization) {
    super();
  }

  watch(reply: FastifyReply): void {
    this.#replies.add(reply);
  }

  forget(reply: FastifyReply): void {
    this.#replies.delete(reply);
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), every).unref();
  }

  stop(): Promise<void> {
    clearInterval(this.#timer);
    return Promise.resolve();
  }

  /** Ends those that must not go on, and their uploads. Others that have not begun were admitted a moment ago. */
  async look(): Promise<void> {
    for (const { raw, request } of this.#replies) {
      const goesOn = raw.headersSent || isStreamed(request.raw.socket);
      if (goesOn && !(await this.authorization.stillAdmits(request))) raw.destroy();
    }
  }
}
