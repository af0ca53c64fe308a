import { allEnded } from '../in-parallel';

/**
 * Works items: those of one lane one after another, lanes beside each other, and an item without a lane alone, after everything
 * before it. All that has begun has ended when this does.
 * @throws the first error; what comes after it in its lane is not begun
 */
export async function inLanes<Item>(
  items: readonly Item[],
  laneOf: (item: Item) => string | undefined,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const lanes = new Map<string | undefined, Promise<void>>();
  const ended = async (): Promise<void> => {
    await allEnded(lanes.values());
    lanes.clear();
  };
  for (const item of items) {
    const lane = laneOf(item);
    if (lane === undefined) await ended();
    lanes.set(
      lane,
      (lanes.get(lane) ?? Promise.resolve()).then(() => work(item)),
    );
    if (lane === undefined) await ended();
  }
  await ended();
}
