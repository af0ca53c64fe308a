import { sleepUntil } from './sleep-until';

/** Sleep between two rounds of work. Who was woken during a round does not sleep after it: something came while he looked. */
export class Sleeper {
  #isWoken = false;
  #wakeUp = (): void => undefined;

  /** Before a round looks for work. What it was woken for until now, it finds by itself. */
  beginRound(): void {
    this.#isWoken = false;
  }

  wake(): void {
    this.#isWoken = true;
    this.#wakeUp();
  }

  /** Sleeps until woken, or for so many milliseconds; not at all if it was woken since the round began. */
  async sleep(milliseconds: number): Promise<void> {
    if (this.#isWoken || milliseconds <= 0) return;
    await sleepUntil(new Promise((woken) => (this.#wakeUp = woken)), milliseconds);
  }
}
