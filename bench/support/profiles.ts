/**
 * Which SKUs the order lines of a load name. A profile is a sequence of draws, always the same: every side of a comparison
 * gets the same load.
 */
export interface Profile {
  readonly what: string;
  /** How many SKUs there must be; they are called `sku-0` … */
  readonly skus: number;
  /** SKUs, one per order line, to be used again from the start when they are used up. */
  draws(): string[];
}

const length = 2 ** 17;

const profile = (what: string, skus: number, draw: (random: () => number) => number): Profile => ({
  what,
  skus,
  draws() {
    const random = randomFrom(20_240_229);
    return Array.from({ length }, () => `sku-${draw(random)}`);
  },
});

export const hot = profile('one SKU', 1, () => 0);

export const uniform = (skus: number): Profile =>
  profile(`${skus} SKUs, uniform`, skus, (random) => Math.floor(random() * skus));

/** The nth SKU is named 1/n as often as the first. */
export const zipf = (skus: number): Profile => {
  let sum = 0;
  const upTo = Array.from({ length: skus }, (_, rank) => (sum += 1 / (rank + 1)));
  return profile(`${skus} SKUs, Zipf 1.0`, skus, (random) => firstAbove(upTo, random() * sum));
};

/** Nine lines of ten name one SKU of ten. */
export const ninetyTen = (skus: number): Profile =>
  profile(`${skus} SKUs, 90/10`, skus, (random) => {
    const popular = Math.floor(skus / 10);
    return random() < 0.9 ? Math.floor(random() * popular) : popular + Math.floor(random() * (skus - popular));
  });

/** The four loads that ways of allocating are compared by. */
export const profiles = { hot, zipf: zipf(4_000), '90-10': ninetyTen(4_000), uniform: uniform(10_000) };

function firstAbove(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
