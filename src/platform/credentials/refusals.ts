import { HttpError } from '../http/problem';
import type { Scope } from '../http/scope';

/** Nothing was shown that says who asks, or nothing that is valid. Which of the two is all that is told. */
export class Unauthenticated extends HttpError {
  constructor(shown: boolean) {
    const detail = shown ? 'The credential is not valid.' : 'A credential is needed: Authorization: Bearer …';
    super(401, 'unauthenticated', detail, {}, { 'www-authenticate': `Bearer${shown ? ' error="invalid_token"' : ''}` });
  }
}

/** The credential is valid, but does not allow this. */
export class Forbidden extends HttpError {
  constructor(scope: Scope | undefined) {
    super(
      403,
      'forbidden',
      `The credential does not allow this: it lacks the scope ${scope}.`,
      { scope },
      { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
    );
  }
}

/**
 * Nobody is asked for a credential, as others cannot reach the service; but a browser can, on behalf of any page that it shows.
 * Such a page calls the service by a name of its own that leads here (DNS rebinding), or tells where it is from.
 */
export class NotLocal extends HttpError {
  constructor() {
    super(
      403,
      'not-local',
      'Without any credential only requests are answered whose Host and Origin are localhost, 127.0.0.1 or [::1].',
    );
  }
}

/** Too many of something in too short a time. */
export class RateLimited extends HttpError {
  /** @param milliseconds until it makes sense to try again */
  constructor(what: string, milliseconds: number) {
    super(429, 'rate-limited', `Too many ${what}.`, {}, { 'retry-after': String(Math.ceil(milliseconds / 1000)) });
  }
}

/** Whoever could say whether the credential is valid does not answer. */
export class IssuerUnavailable extends HttpError {
  constructor() {
    super(503, 'issuer-unavailable', 'The credential cannot be checked: its issuer does not answer. Try again.');
  }
}
