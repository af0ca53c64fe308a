import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `woken` is resolved, or for so many milliseconds, and leaves no timer behind. */
export async function sleepUntil(woken: Promise<void>, milliseconds: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([woken, delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}
