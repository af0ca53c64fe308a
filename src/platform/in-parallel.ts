/** Waits for all of them, for those behind a failed one too. @throws the first error in their order */
export async function allEnded(works: Iterable<Promise<unknown>>): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Works items in their order, up to `width` of them at once, and waits for all that was begun. Where the work of an item fails,
 * as many fewer are worked at once from then on.
 * @throws an error that an item failed with
 */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const workOneByOne = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await allEnded(Array.from({ length: Math.min(width, items.length) }, workOneByOne));
}
