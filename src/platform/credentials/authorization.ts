import { Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Config, InvalidConfig } from '../config';
import type { Scope } from '../http/scope';
import { AccessTokens } from './access-tokens';
import { namesThisMachine, ownerOf } from './address';
import { digestOf, idOfApiKey } from './api-key';
import { ApiKeys } from './api-keys';
import { type Credential, Refused } from './credential';
import { IssuerOutOfReach } from './issuer-keys';
import { RateLimit } from './rate-limit';
import { Forbidden, IssuerUnavailable, NotLocal, RateLimited, Unauthenticated } from './refusals';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a credential must allow; set by `@Endpoint`. */
    scope?: Scope;
  }
}

/** Wrong credentials of one address: so many at once, and so many a minute. */
const wrongCredentials = 20;
const minute = 60_000;

const anonymous = 'anonymous';

/**
 * Lets nobody in without a credential that allows what is asked for.
 *
 * As long as there is no credential at all - no key was ever made, none is configured, nor an issuer - everybody may do
 * everything, but only where others cannot reach the service, be it by a page that a browser shows here, or where that is
 * allowed by name.
 */
@Injectable()
export class Authorization {
  readonly #log = new Logger('Credentials');
  readonly #configured: ReadonlyMap<string, Credential>;
  readonly #tokens: AccessTokens | undefined;
  readonly #mayBeOpen: boolean;
  readonly #wrong: RateLimit;
  readonly #requests: RateLimit | undefined;

  constructor(
    private readonly config: Config,
    private readonly keys: ApiKeys,
  ) {
    this.#configured = new Map(
      config.apiKeys.map(({ name, grants, digest }) => [
        digest,
        { id: `configured:${name}`, actor: `key:${name}`, grants: new Set(grants) },
      ]),
    );
    const now = (): number => keys.now();
    this.#tokens = config.tokenIssuer && new AccessTokens(config.tokenIssuer, now);
    this.#wrong = new RateLimit(wrongCredentials, minute, now);
    this.#mayBeOpen =
      this.#configured.size === 0 && !this.#tokens && (config.isLoopback || config.allowUnauthenticated);
    if (config.rateLimitPerSecond > 0) this.#requests = new RateLimit(config.rateLimitPerSecond, 1000, now);
  }

  /**
   * Says in the log who is let in.
   * @throws InvalidConfig if nobody could be, on an address that others reach
   */
  async begin(): Promise<void> {
    await this.keys.look();
    if (this.#tokens || this.#configured.size > 0 || this.keys.any) return;
    if (!this.#mayBeOpen)
      throw new InvalidConfig([
        `HOST is ${JSON.stringify(this.config.host)}, which others reach, and there is no credential: make one with ` +
          '`batchwise keys create`, set API_KEYS or OIDC_ISSUER, or ALLOW_UNAUTHENTICATED=true',
      ]);
    this.#log.log(
      'There is no credential, so nobody is asked for one: whoever reaches this service may do everything.',
    );
  }

  /**
   * Admits a request, or not. Waits only where something must be looked up that is not known yet.
   * @returns as whom it is handled
   * @throws Unauthenticated, Forbidden, NotLocal, RateLimited, IssuerUnavailable; Overloaded if the database must be asked
   * and does not answer
   */
  admit(request: FastifyRequest, reply: FastifyReply): string | Promise<string> {
    const { scope } = request.routeOptions.config;
    if (scope === 'public' || request.is404) return anonymous;
    try {
      const credential = this.#identify(request);
      if (!(credential instanceof Promise)) return this.#authorize(credential, scope, request, reply);
      return credential.then(
        (found) => this.#authorize(found, scope, request, reply),
        (error: unknown) => {
          throw this.#refusal(error, request);
        },
      );
    } catch (error) {
      throw this.#refusal(error, request);
    }
  }

  /** Whether a request that was admitted would be admitted now. What cannot be told is taken for a yes. */
  async stillAdmits(request: FastifyRequest): Promise<boolean> {
    const { scope } = request.routeOptions.config;
    if (scope === 'public' || request.is404) return true;
    try {
      allow(await this.#identify(request), scope);
      return true;
    } catch (error) {
      return !(error instanceof Refused || error instanceof Unauthenticated || error instanceof Forbidden);
    }
  }

  /** Null: nobody is asked. */
  #identify(request: FastifyRequest): Credential | null | Promise<Credential | null> {
    if (this.#mayBeOpen) {
      const { any } = this.keys;
      if (any === undefined) return this.keys.look().then(() => this.#identify(request));
      if (!any) return this.#openTo(request);
    }
    const secret = bearerOf(request.headers.authorization);
    if (secret === undefined) throw new Unauthenticated(false);
    const digest = digestOf(secret);
    return (
      this.#configured.get(digest) ??
      this.#tokens?.find(digest) ??
      this.keys.find(digest) ??
      this.#lookUp(secret, digest)
    );
  }

  /** Nobody is asked, but not everybody is answered: see {@link NotLocal}. */
  #openTo({ headers: { host, origin } }: FastifyRequest): null {
    if (this.config.allowUnauthenticated) return null;
    for (const name of [host, origin]) if (name !== undefined && !namesThisMachine(name)) throw new NotLocal();
    return null;
  }

  /** What is not known, may be new. */
  async #lookUp(secret: string, digest: string): Promise<Credential> {
    const id = idOfApiKey(secret);
    if (id !== undefined) {
      await this.keys.look();
      const credential = this.keys.find(digest);
      if (credential) return credential;
      throw new Refused(`key bw_${id} is not known`);
    }
    if (!this.#tokens || !AccessTokens.isToken(secret)) throw new Refused('it is neither a known key nor a token');
    return this.#tokens.verify(secret, digest);
  }

  #authorize(
    credential: Credential | null,
    scope: Scope | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): string {
    if (this.#requests) limit(this.#requests, credential?.id ?? addressOf(request), reply);
    return allow(credential, scope);
  }

  /** What is told of a failure. Wrong credentials are counted and noted, never what was shown. */
  #refusal(error: unknown, request: FastifyRequest): unknown {
    if (error instanceof IssuerOutOfReach) return new IssuerUnavailable();
    if (!(error instanceof Refused)) return error;
    const early = this.#wrong.take(addressOf(request));
    if (early > 0) return new RateLimited('credentials were wrong', early);
    this.#log.warn({ msg: `A credential was refused: ${error.message}.`, address: request.ip, requestId: request.id });
    return new Unauthenticated(true);
  }
}

/** Of a connection that is gone nothing is known. */
const addressOf = ({ ip }: { ip?: string }): string => ownerOf(ip ?? '');

/** The credential of the header; undefined if there is none. */
function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^bearer +(\S+)$/i.exec(header)?.[1];
}

/** As whom a request is handled. @throws Forbidden */
function allow(credential: Credential | null, scope: Scope | undefined): string {
  if (credential === null) return anonymous;
  // A route that names no scope would be open to nobody; there is none, see `declareScopes`.
  if (scope === undefined || scope === 'public' || !credential.grants.has(scope)) throw new Forbidden(scope);
  return credential.actor;
}

/** Takes one request, and says in the answer how many are left. @throws RateLimited */
function limit(requests: RateLimit, whose: string, reply: FastifyReply): void {
  const early = requests.take(whose);
  reply.header('ratelimit-policy', `"requests";q=${requests.most};w=1`);
  reply.header('ratelimit', `"requests";r=${requests.left(whose)};t=${Math.ceil(requests.debt(whose) / 1000)}`);
  if (early > 0) throw new RateLimited('requests', early);
}
