/**
 * Which SKUs the order lines of a load name. A profile is a sequence of draws, always the same: every side of a comparison
 * gets the same load.
 */
export interface Profile<Draw = string> {
  readonly what: string;
  /** How many SKUs there must be; they are called `sku-0` … */
  readonly skus: number;
  /** SKUs, one per order line - or whole orders -, to be used again from the start when they are used up. */
  draws(): Draw[];
}

const seed = 20_240_229;
const length = 2 ** 17;

const profile = (what: string, skus: number, draw: (random: () => number) => number): Profile => ({
  what,
  skus,
  draws() {
    const random = randomFrom(seed);
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

/** An order but for its id. */
export interface DrawnOrder {
  readonly lines: readonly { readonly lineId: string; readonly sku: string; readonly qty: number }[];
}

/**
 * Orders as large as those of wholesalers are: half have up to ten lines, one of a hundred has two hundred, and so for their
 * quantities. One SKU of a hundred has 10 % of the lines, one of ten has 45 %.
 */
export const ordersOfManyLines = (skus: number): Profile<DrawnOrder> => ({
  what: `orders of many lines, ${skus} SKUs`,
  skus,
  draws() {
    const random = randomFrom(seed);
    const whole = (quantiles: Quantiles, share: number): number => Math.round(at(quantiles, share));
    const oneOf = (from: number, to: number): number => Math.floor((from + random() * (to - from)) * skus);
    const sku = (): number => {
      const share = random();
      return share < 0.1 ? oneOf(0, 0.01) : share < 0.45 ? oneOf(0.01, 0.1) : oneOf(0.1, 1);
    };
    const line = (_: unknown, place: number) => ({
      lineId: `${place + 1}`,
      sku: `sku-${sku()}`,
      qty: whole(quantity, random()),
    });
    // Multiples of the golden ratio spread evenly: few orders are enough for all sizes to come as often as they should.
    const size = (place: number): number => whole(linesPerOrder, (place * 0.6180339887) % 1);
    return Array.from({ length: 2 ** 12 }, (_, place) => ({ lines: Array.from({ length: size(place) }, line) }));
  },
});

/** Shares of all, ascending, each with the number that they do not exceed. */
type Quantiles = readonly (readonly [share: number, upTo: number])[];

const linesPerOrder: Quantiles = [
  [0, 1],
  [0.5, 10],
  [0.9, 47],
  [0.99, 193],
  [1, 500],
];
const quantity: Quantiles = [
  [0, 1],
  [0.5, 3],
  [0.9, 24],
  [0.99, 100],
  [1, 300],
];

/** The number that a share does not exceed; in between they grow by the same factor. */
function at(quantiles: Quantiles, share: number): number {
  const next = quantiles.findIndex(([upTo]) => share < upTo);
  const [[from, least], [to, most]] = [quantiles[next - 1]!, quantiles[next]!];
  return least * (most / least) ** ((share - from) / (to - from));
}

/** Corrections of stock, and later ships. */
export interface DrawnChange {
  readonly ref: string;
  readonly change: { readonly qty: number } | { readonly eta: string };
}

/**
 * Changes of a stock in which the third batch of every SKU holds more than enough: half of them give the first batch another
 * quantity, which takes promises away or makes room; the others give the second one another ETA.
 */
export const storm = (load: Profile): Profile<DrawnChange> => ({
  what: `quantities and ETAs change, ${load.what}`,
  skus: load.skus,
  draws() {
    const random = randomFrom(seed + 1);
    const change = (batches: string): DrawnChange => {
      const day = 1 + Math.floor(random() * 8);
      return random() < 0.5
        ? { ref: `${batches}-1`, change: { qty: Math.floor(random() * 100) } }
        : { ref: `${batches}-2`, change: { eta: `2030-01-0${day}` } };
    };
    return load.draws().map((sku) => change(sku.replace('sku', 'batch')));
  },
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
