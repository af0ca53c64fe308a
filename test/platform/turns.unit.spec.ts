import { Overloaded } from '../../src/kernel/unit-of-work';
import { Turns } from '../../src/platform/turns';

describe('Turns', () => {
  const came: string[] = [];
  const coming = async (name: string, turns: Turns): Promise<() => void> => {
    const end = await turns.take();
    came.push(name);
    return end;
  };
  const settled = (): Promise<void> => new Promise(setImmediate);
  beforeEach(() => (came.length = 0));

  it('are given to so many at once, and to the others in the order of their coming', async () => {
    const turns = new Turns(2, 3, 10_000);
    const [end, other] = await Promise.all([coming('a', turns), coming('b', turns)]);
    const waiting = ['c', 'd', 'e'].map((name) => coming(name, turns));
    await settled();
    expect(came).toEqual(['a', 'b']);
    end();
    (await waiting[0]!)();
    other();
    await Promise.all(waiting);
    expect(came).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('are refused to whoever finds too many waiting', async () => {
    const turns = new Turns(1, 1, 10_000);
    const end = await turns.take();
    const waiting = turns.take();
    await expect(turns.take()).rejects.toThrow(Overloaded);
    end();
    (await waiting)();
    (await turns.take())();
  });

  it('are refused to whoever has waited too long, and then go to the next', async () => {
    const turns = new Turns(1, 2, 20);
    const end = await turns.take();
    await expect(turns.take()).rejects.toThrow(Overloaded);
    const waiting = coming('next', turns);
    end();
    await waiting;
    expect(came).toEqual(['next']);
  });
});
