import { InvalidConfig } from './config';
import { SchemaMismatch } from './database/migrate';
import { UnfitServer } from './database/require-fit-server';

/**
 * What an operator can act on is told in one line; a defect shows where it came from.
 * @param what it is that failed
 */
export function explain(error: unknown, what = 'Batchwise cannot start'): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (oneOf([InvalidConfig, UnfitServer, SchemaMismatch], error)) return error.message;
  if (oneOf([TypeError, ReferenceError, RangeError, SyntaxError], error)) return error.stack ?? error.message;
  if (code === 'EADDRINUSE')
    return `Batchwise cannot listen on ${address}:${port}: the port is in use. Set PORT to another one.`;
  const reasons = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  return `${what}: ${reasons.map(({ message }) => message).join('; ')}`;
}

const oneOf = (kinds: readonly (new (...parts: never[]) => Error)[], error: Error): boolean =>
  kinds.some((kind) => error instanceof kind);
