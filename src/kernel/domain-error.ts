/**
 * What kind of refusal a domain error is. The HTTP filter turns it into a status; nothing else knows both worlds.
 * `unavailable`: the work could not be tried or its outcome is not known; the same request may be sent again. `mismatch`: it is not the request that it says it is.
 */
export type ErrorKind = 'invalid' | 'not-found' | 'conflict' | 'mismatch' | 'unavailable';

/** A refusal with a stable code. Thrown: nothing happened (unless the code says that the outcome is unknown). */
export class DomainError extends Error {
  /**
   * @param code stable and machine-readable, in kebab case: `unknown-sku`
   * @param message one sentence for a person
   * @param details what a program needs to act on the refusal; must be JSON
   */
  constructor(
    readonly code: string,
    readonly kind: ErrorKind,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}
