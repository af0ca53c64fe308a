import { inLanes } from '../../src/platform/broker/in-lanes';

/** Items are `lane:name`; those of lane `-` have none. */
const laneOf = (item: string): string | undefined => (item.startsWith('-') ? undefined : item.split(':')[0]);

describe('Work in lanes', () => {
  it('keeps the order of a lane, works lanes beside each other, and alone what has none', async () => {
    const log: string[] = [];
    const work = async (item: string): Promise<void> => {
      log.push(`>${item}`);
      await new Promise(setImmediate);
      log.push(`<${item}`);
    };
    await inLanes(['a:1', 'b:1', 'a:2', '-:3', 'a:4'], laneOf, work);
    expect(log).toEqual(['>a:1', '>b:1', '<a:1', '>a:2', '<b:1', '<a:2', '>-:3', '<-:3', '>a:4', '<a:4']);
  });

  it('ends when all that has begun has ended, with the first error, and begins nothing behind it', async () => {
    const done: string[] = [];
    const work = async (item: string): Promise<void> => {
      if (item === 'a:1') throw new Error('stuck');
      await new Promise(setImmediate);
      done.push(item);
    };
    await expect(inLanes(['a:1', 'a:2', 'b:1', 'b:2', '-:3', 'c:1'], laneOf, work)).rejects.toThrow('stuck');
    expect(done).toEqual(['b:1', 'b:2']);
  });
});
