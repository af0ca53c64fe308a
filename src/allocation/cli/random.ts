/** Points (share, value) of a distribution: that share of all values is at most that value. Ends with share 1. */
export type Quantiles = readonly (readonly [share: number, value: number])[];

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  /** @param stream tells apart sequences of one seed */
  constructor(seed: number, stream = 0) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
  }

  /** From 0 up to and without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** @returns undefined if there is nothing to choose from */
  oneOf<T>(choices: readonly T[]): T | undefined {
    return choices[Math.floor(this.next() * choices.length)];
  }

  /** A whole number that is distributed as the quantiles say. */
  from(quantiles: Quantiles): number {
    return valueAt(quantiles, this.next());
  }
}

/** The mean of what {@link Random.from} gives. */
export function meanOf(quantiles: Quantiles): number {
  const samples = Array.from({ length: 1_000 }, (_, place) => valueAt(quantiles, (place + 0.5) / 1_000));
  return samples.reduce((sum, value) => sum + value, 0) / samples.length;
}

/** Between two points the logarithm of the value grows evenly. */
function valueAt(quantiles: Quantiles, share: number): number {
  const above = quantiles.findIndex(([upTo]) => upTo >= share);
  const [upTo, most] = quantiles[above]!;
  const [from, least] = quantiles[above - 1] ?? [0, 1];
  return Math.round(least * (most / least) ** ((share - from) / (upTo - from)));
}
