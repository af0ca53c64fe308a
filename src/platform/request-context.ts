import { AsyncLocalStorage } from 'node:async_hooks';
import type { IdempotencyKey } from './idempotency/idempotency-key';

/** On whose behalf, and because of what, something is done. Kept with every event that results from it. */
export interface RequestContext {
  /** Who: a credential's name, or what kind of edge it came in by. */
  readonly actor: string;
  /** Ties together everything that one request of the outside world led to. */
  readonly correlationId: string | null;
  /** What led to it directly: the request's id, or the id of the event that is reacted to. */
  readonly causationId: string | null;
  /** Tells whether nobody waits for the answer any more. */
  readonly isAbandoned?: () => boolean;
  /** What is done with it takes effect once, however often it is asked for. */
  readonly idempotencyKey?: IdempotencyKey | undefined;
}

const storage = new AsyncLocalStorage<RequestContext>();
const nobody: RequestContext = { actor: 'system', correlationId: null, causationId: null };

/** The context that the calling code runs in; actor `system` outside of any request. */
export const currentContext = (): RequestContext => storage.getStore() ?? nobody;

/** Runs `action`, and everything that it starts, in `context`. */
export const inContext = <T>(context: RequestContext, action: () => T): T => storage.run(context, action);
