import { Sleeper } from '../../src/platform/sleeper';
import { restUntil } from '../../src/platform/sleep-until';

const veryLong = 60 * 60_000;
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('A sleeper', () => {
  let sleeper: Sleeper;
  beforeEach(() => (sleeper = new Sleeper()));

  /** Falls asleep for very long, and is woken. */
  async function isWokenFromSleep(): Promise<void> {
    let isUp = false;
    const sleeping = sleeper.sleep(veryLong).then(() => (isUp = true));
    await new Promise(setImmediate);
    expect(isUp).toBe(false);
    sleeper.wake();
    await sleeping;
  }

  it('sleeps until it is woken, and leaves no timer behind', async () => {
    const before = timers();
    await isWokenFromSleep();
    expect(timers()).toBe(before);
  });

  it('wakes up by itself, and does not sleep for no time', async () => {
    await sleeper.sleep(1);
    await sleeper.sleep(0);
  });

  it('does not sleep after a round in which it was woken', async () => {
    sleeper.beginRound();
    sleeper.wake();
    await sleeper.sleep(veryLong);
    await sleeper.sleep(veryLong);
  });

  it('sleeps after a round in which nobody woke it, whoever had before', async () => {
    sleeper.wake();
    sleeper.beginRound();
    await isWokenFromSleep();
  });
});

describe('A rest', () => {
  it('is over after its time, or with what it rests from, and leaves no timer behind', async () => {
    const before = timers();
    const over = new AbortController();
    await restUntil(over.signal, 1);
    const resting = restUntil(over.signal, veryLong);
    over.abort();
    await resting;
    await restUntil(over.signal, veryLong);
    expect(timers()).toBe(before);
  });
});
