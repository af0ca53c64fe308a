/** No subscriber is waited for longer than this, in milliseconds, be it a handler or a publisher. */
export const subscriberWithin = 30_000;

/** Waits for a subscriber, or for somebody else, and no longer than it may take. What it still does is not cancelled. */
export async function within<T>(name: string, work: () => T | Promise<T>, milliseconds = subscriberWithin): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const seconds = milliseconds / 1000;
    timer = setTimeout(() => reject(new Error(`${name} took longer than ${seconds} s`)), milliseconds);
  });
  try {
    return await Promise.race([(async () => work())(), late]);
  } finally {
    clearTimeout(timer);
  }
}
