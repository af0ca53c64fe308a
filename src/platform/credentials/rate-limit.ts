import { BoundedMap } from './bounded-map';

/** How many are remembered at once; whoever was seen longest ago is forgotten first. */
const remembered = 20_000;
/** Milliseconds that sums of intervals may be off. */
const rounding = 1e-6;

/**
 * A number at once, and then evenly so many in a time: the generic cell rate algorithm, which keeps one instant for each.
 * Counts in this process.
 */
export class RateLimit {
  readonly #interval: number;
  /** When whatever was taken will be used up, were nothing more taken. */
  readonly #usedUp = new BoundedMap<number>(remembered);

  /**
   * @param most at once, and again within
   * @param milliseconds
   * @param now in milliseconds
   */
  constructor(
    readonly most: number,
    readonly milliseconds: number,
    private readonly now: () => number,
  ) {
    this.#interval = milliseconds / most;
  }

  /** Takes one, if there is one to take. @returns 0, or how many milliseconds it is too early */
  take(whose: string): number {
    const early = this.early(whose);
    if (early === 0) this.#usedUp.set(whose, this.now() + this.debt(whose) + this.#interval);
    return early;
  }

  /** How many milliseconds are left until one can be taken; 0 if that is now. */
  early(whose: string): number {
    const early = this.debt(whose) + this.#interval - this.milliseconds;
    return early > rounding ? early : 0;
  }

  /** How many could be taken at once now. */
  left(whose: string): number {
    return Math.floor((this.milliseconds - this.debt(whose) + rounding) / this.#interval);
  }

  /** Milliseconds until all could be taken at once again. */
  debt(whose: string): number {
    return Math.max(0, (this.#usedUp.get(whose) ?? 0) - this.now());
  }
}
