import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `woken` is resolved, or for so many milliseconds, and leaves no timer behind. */
export async function sleepUntil(woken: Promise<void>, milliseconds: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([woken, restUntil(over.signal, milliseconds)]);
  over.abort();
}

/** Waits until it is `over`, or for so many milliseconds, and leaves no timer behind. */
export async function restUntil(over: AbortSignal, milliseconds: number): Promise<void> {
  await delay(milliseconds, undefined, { signal: over }).catch(() => undefined);
}
