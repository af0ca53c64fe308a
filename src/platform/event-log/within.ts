/** No subscriber is waited for longer than this, in milliseconds, be it a handler or a publisher. */
export const subscriberWithin = 30_000;

/** Waits for a subscriber, and no longer than it may take. It is not cancelled: what it still does, it does twice. */
export async function within(name: string, work: () => unknown): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const seconds = subscriberWithin / 1000;
    timer = setTimeout(() => reject(new Error(`${name} took longer than ${seconds} s`)), subscriberWithin);
  });
  try {
    await Promise.race([(async () => void (await work()))(), late]);
  } finally {
    clearTimeout(timer);
  }
}
