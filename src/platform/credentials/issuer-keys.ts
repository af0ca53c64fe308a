import { Logger } from '@nestjs/common';
import type { createLocalJWKSet, JSONWebKeySet } from 'jose';

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Milliseconds after which the issuer is asked again, beside the requests. */
const renewEvery = 10 * 60_000;
/** Milliseconds that its keys hold while it does not answer. */
const holdFor = 24 * 60 * 60_000;
/** Milliseconds between two questions, however many unknown keys are named. */
const cooldown = { known: 30_000, unknown: 1_000 };
const answerWithin = 5_000;

/** The issuer does not tell its keys, so that nothing can be said about its tokens. */
export class IssuerOutOfReach extends Error {}

/** The public keys of an OpenID provider, found by its discovery document. */
export class IssuerKeys {
  readonly #log = new Logger('Credentials');
  #keys: { readonly set: KeySet; readonly at: number } | undefined;
  #askedAt = -Infinity;
  #asking: Promise<KeySet> | undefined;

  /** @param now milliseconds */
  constructor(
    private readonly issuer: string,
    private readonly now: () => number,
  ) {}

  /**
   * The key that a token names. One that is not known may be new, so the issuer is asked, but no more than twice a minute.
   * @throws IssuerOutOfReach, or an error of jose
   */
  readonly find = async (...wanted: Parameters<KeySet>): ReturnType<KeySet> => {
    if (!this.#hold) return (await this.#ask())(...wanted);
    // Keys that were withdrawn long ago must not be good for one token more, as long as the issuer answers.
    if (this.#age > 2 * renewEvery) await this.#ask();
    else if (this.#age > renewEvery) void this.#ask().catch(() => undefined);
    try {
      return await this.#keys!.set(...wanted);
    } catch (error) {
      const { errors } = await import('jose');
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return (await this.#ask())(...wanted);
    }
  };

  get #age(): number {
    return this.now() - (this.#keys?.at ?? -Infinity);
  }

  /** Whether there are keys that hold. */
  get #hold(): boolean {
    return this.#age <= holdFor;
  }

  /** The newest keys that can be had. */
  #ask(): Promise<KeySet> {
    const pause = this.#hold ? cooldown.known : cooldown.unknown;
    if (this.#asking === undefined && this.now() - this.#askedAt >= pause) {
      this.#askedAt = this.now();
      this.#asking = this.#read().finally(() => (this.#asking = undefined));
    }
    return this.#asking ?? this.#held();
  }

  async #read(): Promise<KeySet> {
    try {
      this.#keys = { set: await keySetOf(this.issuer), at: this.now() };
    } catch (error) {
      this.#log.warn(`The keys of ${this.issuer} could not be read: ${String(error)}`);
    }
    return this.#held();
  }

  #held(): Promise<KeySet> {
    if (this.#hold) return Promise.resolve(this.#keys!.set);
    return Promise.reject(new IssuerOutOfReach(`${this.issuer} does not tell its keys`));
  }
}

async function keySetOf(issuer: string): Promise<KeySet> {
  const about = await read<{ issuer?: unknown; jwks_uri?: unknown }>(
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
  );
  if (about.issuer !== issuer) throw new Error(`its discovery document is that of ${JSON.stringify(about.issuer)}`);
  const { href, protocol } = new URL(String(about.jwks_uri));
  if (protocol !== new URL(issuer).protocol) throw new Error(`its jwks_uri is a ${protocol} URL`);
  const { createLocalJWKSet } = await import('jose');
  return createLocalJWKSet(await read<JSONWebKeySet>(href));
}

async function read<T>(url: string): Promise<T> {
  const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(answerWithin) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return (await answer.json()) as T;
}
