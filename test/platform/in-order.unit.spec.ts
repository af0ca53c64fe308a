import fc from 'fast-check';
import { inOrderAsReady } from '../../src/platform/in-order';

/** A source whose items, results and end a test decides about, step by step. */
class Stepwise {
  readonly begun: number[] = [];
  readonly given: number[] = [];
  underWay = 0;
  mostUnderWay = 0;
  /** Items that were begun, and whose results nobody was given. */
  mostHeld = 0;
  #finish = new Map<number, (result: number) => void>();
  #fail = new Map<number, (error: Error) => void>();

  readonly work = (item: number): Promise<number> => {
    this.begun.push(item);
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    this.mostHeld = Math.max(this.mostHeld, this.begun.length - this.given.length);
    return new Promise<number>((resolve, reject) => {
      this.#finish.set(item, resolve);
      this.#fail.set(item, reject);
    });
  };

  get waiting(): number[] {
    return [...this.#finish.keys()];
  }

  finish(item: number): void {
    this.#finish.get(item)!(item);
    this.#finish.delete(item);
    this.underWay -= 1;
  }

  fail(item: number): void {
    this.#fail.get(item)!(new Error(`item ${item}`));
    this.#finish.delete(item);
  }
}

async function* from<T>(...batches: readonly T[][]): AsyncGenerator<T[]> {
  for (const batch of batches) yield await Promise.resolve(batch);
}

/** Lets everything happen that needs no further event. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Results in order, as they are ready,', () => {
  it('come in the order of the items, whichever work ends first, with no more than the width under way', async () => {
    const batches = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.integer({ min: 1, max: 7 }),
        fc.infiniteStream(fc.nat()),
        async (sizes, width, picks) => {
          const world = new Stepwise();
          let items = 0;
          const source = from(...sizes.map((size) => Array.from({ length: size }, () => items++)));
          const all = (async () => {
            for await (const results of inOrderAsReady(source, width, world.work)) world.given.push(...results);
          })();
          await settled();
          while (world.waiting.length > 0) {
            const pick = picks.next().value as number;
            world.finish(world.waiting[pick % world.waiting.length]!);
            await settled();
          }
          await all;
          expect(world.given).toEqual(Array.from({ length: items }, (_, place) => place));
          expect(world.mostUnderWay).toBeLessThanOrEqual(width);
          // Those that are being handed over are no longer under way.
          expect(world.mostHeld).toBeLessThanOrEqual(2 * width);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('are there before a further item has come', async () => {
    let more = (): void => undefined;
    const world = new Stepwise();
    const source = (async function* () {
      yield [1, 2];
      await new Promise<void>((resolve) => (more = resolve));
      yield [3];
    })();
    const results = inOrderAsReady(source, 10, world.work);
    const first = results.next();
    await settled();
    world.finish(2);
    world.finish(1);
    expect(await first).toEqual({ done: false, value: [1, 2] });
    more();
    const second = results.next();
    await settled();
    world.finish(3);
    expect(await second).toEqual({ done: false, value: [3] });
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it('hold the source up while nobody takes them', async () => {
    let asked = 0;
    const source = (async function* () {
      for (;;) yield await Promise.resolve([(asked += 1)]);
    })();
    const results = inOrderAsReady(source, 4, (item) => item);
    await results.next();
    for (let turn = 0; turn < 50; turn += 1) await settled();
    expect(asked).toBeLessThanOrEqual(2 * 4 + 1);
    await results.return(undefined);
    await settled();
    const after = asked;
    await settled();
    expect(asked).toBe(after);
  });

  it('are all given before the error of the source', async () => {
    const world = new Stepwise();
    const source = (async function* () {
      yield await Promise.resolve([1, 2]);
      throw new Error('broken off');
    })();
    const given: number[] = [];
    const all = (async () => {
      for await (const results of inOrderAsReady(source, 10, world.work)) given.push(...results);
    })();
    await settled();
    world.finish(1);
    await settled();
    world.finish(2);
    await expect(all).rejects.toThrow('broken off');
    expect(given).toEqual([1, 2]);
  });

  it('end with the error of a work that has none', async () => {
    const world = new Stepwise();
    const all = (async () => {
      for await (const results of inOrderAsReady(from([1, 2]), 10, world.work)) world.given.push(...results);
    })();
    await settled();
    world.finish(1);
    world.fail(2);
    await expect(all).rejects.toThrow('item 2');
    expect(world.given).toEqual([1]);
  });
});
