import type { Grant } from '../http/scope';

/** Who asks, once that is proven. */
export interface Credential {
  /** Tells credentials apart. */
  readonly id: string;
  /** As whom it acts, in events and logs: `key:<name>`, or `sub:<subject>` of an access token. */
  readonly actor: string;
  readonly grants: ReadonlySet<Grant>;
}

/** What was shown is no valid credential. The message says why, for the log; it holds nothing secret. */
export class Refused extends Error {}
