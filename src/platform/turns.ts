import { Overloaded } from '../kernel/unit-of-work';

/** Lets in so many at once; the others wait for their turns in the order of their coming, and not for ever. */
export class Turns {
  private under = 0;
  private readonly waiting: (() => void)[] = [];

  /**
   * @param atOnce how many have their turn together
   * @param waitingMax how many may wait for theirs …
   * @param patience … and how long, in milliseconds
   */
  constructor(
    private readonly atOnce: number,
    private readonly waitingMax: number,
    private readonly patience: number,
  ) {}

  /** @returns ends the turn; to be called once. @throws Overloaded */
  async take(): Promise<() => void> {
    if (this.under < this.atOnce) this.under += 1;
    else if (this.waiting.length < this.waitingMax) await this.wait();
    else throw new Overloaded();
    return () => this.end();
  }

  private wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(go), 1);
        reject(new Overloaded());
      }, this.patience);
      this.waiting.push(go);
    });
  }

  /** The turn goes to who has waited longest. */
  private end(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.under -= 1;
  }
}
