import { inContext } from '../request-context';
import type { StoredEvent } from './stored-event';

/** Runs what a subscriber does because of an event: whatever that records names the event as its cause. */
export const becauseOf = <T>({ id, correlationId }: StoredEvent, subscriber: string, action: () => T): T =>
  inContext({ actor: `reaction:${subscriber}`, correlationId, causationId: id }, action);
