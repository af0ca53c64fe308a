import { allEnded, inParallel } from '../../src/platform/in-parallel';

describe('Works in parallel', () => {
  it('are begun in their order, so many at once', async () => {
    const begun: number[] = [];
    let [underWay, most] = [0, 0];
    await inParallel([1, 2, 3, 4, 5, 6, 7], 3, async (n) => {
      begun.push(n);
      most = Math.max(most, (underWay += 1));
      await new Promise(setImmediate);
      underWay -= 1;
    });
    expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
    await inParallel([], 3, () => Promise.reject(new Error('there is nothing to work')));
  });

  it('are waited for where one fails, and the others go on', async () => {
    const done: number[] = [];
    const work = async (n: number): Promise<void> => {
      if (n === 1) throw new Error('one failed');
      await new Promise(setImmediate);
      done.push(n);
    };
    await expect(inParallel([1, 2, 3, 4], 2, work)).rejects.toThrow('one failed');
    expect(done).toEqual([2, 3, 4]);
  });

  it('fail with the first error in their order, once all have ended', async () => {
    let fail: (error: Error) => void = () => undefined;
    const late = new Promise<void>((_, reject) => (fail = reject));
    const ended = allEnded([Promise.resolve(), late, Promise.reject(new Error('second'))]);
    setImmediate(() => fail(new Error('first')));
    await expect(ended).rejects.toThrow('first');
    await allEnded([]);
  });
});
