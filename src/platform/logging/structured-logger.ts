import type { LoggerService } from '@nestjs/common';
import pino, { type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config';
import { currentContext } from '../request-context';

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** What the framework says about its own start; only who debugs it wants to read that. */
const framework = new Set(['NestFactory', 'NestApplication', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer']);

/**
 * Writes one JSON object per line, or coloured text where a person reads. A message is a sentence, an error, or an object
 * whose `msg` is the sentence and whose other members become members of the line. Lines that are written while a request
 * is handled carry its ids.
 */
export class StructuredLogger implements LoggerService {
  readonly #pino: Logger;

  constructor(
    { logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>,
    destination: DestinationStream = logFormat === 'pretty'
      ? pretty({ sync: true, ignore: 'pid,hostname' })
      : pino.destination({ fd: 1, sync: true }),
  ) {
    this.#pino = pino(
      { level: logLevel, base: undefined, timestamp: pino.stdTimeFunctions.isoTime, mixin },
      destination,
    );
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.#write(framework.has(String(rest.at(-1))) ? 'debug' : 'info', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  isLevelEnabled(level: Level): boolean {
    return this.#pino.isLevelEnabled(level);
  }

  /** By the framework's convention the last of `rest` names who writes; an error may have its stack before that. */
  #write(level: Level, message: unknown, rest: unknown[]): void {
    if (!this.#pino.isLevelEnabled(level)) return;
    const context = rest.at(-1);
    const stack = rest.length > 1 ? rest[0] : undefined;
    if (message instanceof Error) this.#pino[level]({ context, err: message }, message.message);
    else if (typeof message === 'object' && message !== null) this.#pino[level]({ context, ...message });
    else this.#pino[level]({ context, stack }, String(message));
  }
}

function mixin(): object {
  const { correlationId, causationId } = currentContext();
  return correlationId === null ? {} : { requestId: causationId, correlationId };
}
