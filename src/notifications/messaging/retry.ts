/** Seconds after which the first repetition follows; each further pause is twice as long, up to four hours. */
const first = 5;
const longest = 4 * 3_600;

/** Mail that is not accepted within a day, after some fifteen attempts, is dead. Seconds. */
export const giveUpAfter = 24 * 3_600;

/**
 * Seconds from a failed attempt to the next, a fifth more or less, so that what failed together is not repeated together.
 * @param attempts how many have failed
 * @param random from 0 to 1
 */
export const pauseAfter = (attempts: number, random = Math.random()): number =>
  Math.min(longest, first * 2 ** (attempts - 1)) * (0.8 + 0.4 * random);
