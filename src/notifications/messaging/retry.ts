/** How patiently a delivery is tried. All in seconds. */
export interface RetrySchedule {
  /** The first repetition follows after that; each further pause is twice as long. */
  readonly first: number;
  readonly longest: number;
  /** What is not accepted within that time after the first attempt is dead. */
  readonly giveUpAfter: number;
}

/** A day, some fifteen attempts. */
export const mailRetries: RetrySchedule = { first: 5, longest: 4 * 3_600, giveUpAfter: 24 * 3_600 };

/** Three days, some twenty attempts. */
export const webhookRetries: RetrySchedule = { first: 5, longest: 8 * 3_600, giveUpAfter: 3 * 24 * 3_600 };

/**
 * Seconds from a failed attempt to the next, a fifth more or less, so that what failed together is not repeated together.
 * @param attempts how many have failed
 * @param random from 0 to 1
 */
export const pauseAfter = ({ first, longest }: RetrySchedule, attempts: number, random = Math.random()): number =>
  Math.min(longest, first * 2 ** (attempts - 1)) * (0.8 + 0.4 * random);
