import * as fc from 'fast-check';
import { WorkQueue, type Waiting } from '../../src/platform/unit-of-work/work-queue';

interface Work extends Waiting {
  readonly place: number;
  readonly keys: readonly string[];
}

const limits = { works: 100, keys: 100 };
const work = (place: number, ...keys: string[]): Work => ({ place, keys });
const queueOf = (...works: Work[]): WorkQueue<Work> => {
  const queue = new WorkQueue<Work>();
  for (const each of works) queue.add(each);
  return queue;
};
const places = (works: readonly Work[]): number[] => works.map(({ place }) => place);
const keysOf = (works: readonly Work[]): string[] => works.flatMap(({ keys }) => keys);

describe('The work queue', () => {
  it('gives out everything that waits, in the order of arrival', () => {
    const queue = queueOf(work(1, 'A'), work(2, 'B'), work(3, 'A', 'B'), work(4, 'A'));
    expect(places(queue.take(limits))).toEqual([1, 2, 3, 4]);
    expect(queue.length).toBe(0);
  });

  it('keeps the place of one whose keys took longer to find', () => {
    const queue = queueOf(work(1, 'A'), work(3, 'A'), work(4, 'A'));
    queue.add(work(2, 'A'));
    expect(places(queue.take(limits))).toEqual([1, 2, 3, 4]);
  });

  it('tells whether a work is the first for its keys', () => {
    const queue = new WorkQueue<Work>();
    expect(queue.add(work(1, 'A'))).toBe(true);
    expect(queue.add(work(2, 'B'))).toBe(true);
    expect(queue.add(work(3, 'A'))).toBe(false);
    queue.take(limits);
    expect(queue.add(work(4, 'B'))).toBe(false);
    queue.free(['A', 'B']);
    expect(queue.add(work(5, 'A'))).toBe(true);
  });

  it('gives out no key of a group that is under way, until it is freed', () => {
    const queue = queueOf(work(1, 'A'));
    queue.take(limits);
    queue.add(work(2, 'A', 'B'));
    queue.add(work(3, 'C'));
    expect(places(queue.take(limits))).toEqual([3]);
    queue.free(['A']);
    expect(places(queue.take(limits))).toEqual([2]);
  });

  it('reserves the keys of one that waits against everything behind it', () => {
    const queue = queueOf(work(1, 'A'));
    queue.take(limits);
    queue.add(work(2, 'A', 'B'));
    queue.add(work(3, 'B'));
    queue.add(work(4, 'B', 'C'));
    queue.add(work(5, 'C'));
    expect(queue.take(limits)).toEqual([]);
    queue.free(['A']);
    expect(places(queue.take(limits))).toEqual([2, 3, 4, 5]);
  });

  it('makes no group larger than it may be, and lets one that needs more keys go alone', () => {
    const many = work(1, 'A', 'B', 'C', 'D');
    const queue = queueOf(many, work(2, 'E'), work(3, 'F'), work(4, 'G'));
    expect(places(queue.take({ works: 2, keys: 3 }))).toEqual([1]);
    expect(places(queue.take({ works: 2, keys: 3 }))).toEqual([2, 3]);
    expect(places(queue.take({ works: 2, keys: 3 }))).toEqual([4]);
  });

  it('puts works back into their places', () => {
    const queue = queueOf(work(1, 'A'), work(2, 'B'), work(3, 'A'));
    const group = queue.take({ works: 2, keys: 2 });
    queue.add(work(4, 'B'));
    queue.putBack(group);
    queue.free(['A', 'B']);
    expect(places(queue.take(limits))).toEqual([1, 2, 3, 4]);
  });

  it('gives out works of contended keys only to those who wait for the keys', () => {
    const queue = queueOf(work(1, 'A'), work(2, 'B'), work(3, 'A'), work(4, 'A', 'C'));
    queue.markContended(['A']);
    expect(places(queue.take(limits))).toEqual([2]);
    expect(queue.takeContended()).toEqual(['A']);
    queue.add(work(5, 'A'));
    expect(queue.takeContended()).toBeUndefined();
    expect(places(queue.takeAllOf(['A'], limits))).toEqual([1, 3]);
    queue.free(['A']);
    expect(places(queue.take(limits))).toEqual([4, 5]);
  });

  it('lets those wait next whose contended keys were tried longest ago', () => {
    const queue = queueOf(work(1, 'A'), work(2, 'B'), work(3, 'C'));
    queue.markContended(['A']);
    queue.markContended(['B', 'C']);
    expect(queue.takeContended()).toEqual(['A']);
    queue.markContended(['A']);
    queue.free(['A']);
    expect(queue.takeContended()).toEqual(['B']);
    expect(queue.takeContended()).toEqual(['C']);
    expect(queue.takeContended()).toEqual(['A']);
  });

  it('forgets that keys were contended when nobody waits for them', () => {
    const queue = queueOf(work(1, 'A'));
    queue.markContended(['A']);
    expect(places(queue.drop(() => true))).toEqual([1]);
    queue.takeContended();
    queue.add(work(2, 'A'));
    expect(places(queue.take(limits))).toEqual([2]);
  });

  it('is rid of works that are over, and of their reservations', () => {
    const queue = queueOf(work(1, 'A'));
    queue.take(limits);
    queue.add(work(2, 'A', 'B'));
    queue.add(work(3, 'B'));
    expect(places(queue.drop(({ place }) => place === 2))).toEqual([2]);
    expect(places(queue.take(limits))).toEqual([3]);
  });

  /** What may happen to a queue; numbers choose among what there is. */
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ add: fc.uniqueArray(fc.constantFrom(...'ABCDE'), { minLength: 1, maxLength: 3 }) }),
    },
    { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 4 }), keys: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 3, arbitrary: fc.record({ end: fc.nat(), leaveOut: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ wait: fc.constant(true) }) },
  );
  const steps = fc.array(step, { maxLength: 60 });

  /** Plays steps as the unit of work would, then lets everything come to its end. Gives each group to `look`. */
  const play = (
    history: typeof steps extends fc.Arbitrary<infer History> ? History : never,
    look: (group: Work[], underWay: string[]) => void,
  ) => {
    const queue = new WorkQueue<Work>();
    const groups: { keys: readonly string[]; works: Work[] }[] = [];
    const done: Work[] = [];
    let arrivals = 0;
    const begin = (works: Work[], keys: readonly string[]): void => {
      look(
        works,
        groups.flatMap((group) => [...group.keys]),
      );
      groups.push({ keys, works });
    };
    const end = (which: number, leaveOut: number): void => {
      if (groups.length === 0) return;
      const [group] = groups.splice(which % groups.length, 1) as [(typeof groups)[0]];
      const stay = group.works.length - Math.min(leaveOut, group.works.length);
      done.push(...group.works.slice(0, stay));
      queue.putBack(group.works.slice(stay));
      if (stay < group.works.length) queue.markContended(group.works[stay]!.keys.slice(0, 1));
      queue.free(group.keys);
    };
    const take = (works: number, keys: number): boolean => {
      const group = queue.take({ works, keys });
      if (group.length > 0) begin(group, keysOf(group));
      return group.length > 0;
    };
    const wait = (): boolean => {
      const keys = queue.takeContended();
      if (keys) begin(queue.takeAllOf(keys, { works: 3, keys: 100 }), keys);
      return keys !== undefined;
    };
    for (const each of history) {
      if ('add' in each) queue.add({ place: ++arrivals, keys: each.add });
      else if ('take' in each) take(each.take, each.keys);
      else if ('end' in each) end(each.end, each.leaveOut);
      else wait();
    }
    for (let rounds = 0; queue.length + groups.length > 0; rounds += 1) {
      if (rounds > 1_000) throw new Error('something waits for ever');
      take(4, 4);
      wait();
      end(0, 0);
    }
    return { done, arrivals };
  };

  it('whatever happens, gives no two groups the same key at the same time', () => {
    fc.assert(
      fc.property(steps, (history) => {
        play(history, (group, underWay) => {
          expect(keysOf(group).filter((key) => underWay.includes(key))).toEqual([]);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('whatever happens, ends every work once, and those of a key in the order of arrival', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { done, arrivals } = play(history, () => undefined);
        expect(places(done).sort((a, b) => a - b)).toEqual(Array.from({ length: arrivals }, (_, i) => i + 1));
        for (const key of 'ABCDE') {
          const ofKey = places(done.filter(({ keys }) => keys.includes(key)));
          expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives a work of many keys its turn before anything of those keys that came after it', () => {
    const queue = new WorkQueue<Work>();
    queue.add(work(0, 'A'));
    queue.add(work(1, 'B'));
    const underWay = queue.take(limits);
    queue.add(work(2, 'A', 'B'));
    for (let place = 3; place < 20; place += 1) queue.add(work(place, place % 2 ? 'A' : 'B'));
    queue.free(underWay[0]!.keys);
    expect(queue.take(limits)).toEqual([]);
    queue.free(underWay[1]!.keys);
    expect(places(queue.take({ works: 1, keys: 9 }))).toEqual([2]);
  });
});
