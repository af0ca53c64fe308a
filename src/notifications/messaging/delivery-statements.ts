/*
 * What the tables of deliveries have in common, as parts of statements. Those that others are about to claim are passed by;
 * one whose claim ran out had a sender that is gone.
 */

/** Whether a row may be claimed. */
export const isDue = `
  status = 'pending' AND next_attempt_at <= now() AND (claimed_until IS NULL OR claimed_until <= now())`;

/** Claims a row for so many seconds, `$2`: afterwards it is anybody's again. */
export const claimed = `
  attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, now()),
  claimed_until = now() + make_interval(secs => $2)`;

/** It will not be tried again: `$2` is what became of it, `$3` why. */
export const closed = `
  status = $2, last_error = coalesce($3, last_error), done_at = clock_timestamp(), claimed_until = NULL`;

/** It failed because of `$3`, and is tried again in `$4` seconds; the last time `$5` seconds after the first. */
export const postponed = `
  last_error = $3, claimed_until = NULL,
  next_attempt_at = least(clock_timestamp() + make_interval(secs => $4), first_attempt_at + make_interval(secs => $5)),
  status = CASE WHEN first_attempt_at + make_interval(secs => $5) <= clock_timestamp() THEN 'dead' ELSE status END,
  done_at = CASE WHEN first_attempt_at + make_interval(secs => $5) <= clock_timestamp() THEN clock_timestamp() END`;
