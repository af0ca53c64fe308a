import type { JWTPayload } from 'jose';
import { isGrant } from '../http/scope';
import { BoundedMap } from './bounded-map';
import { type Credential, Refused } from './credential';
import { IssuerKeys } from './issuer-keys';

/** Whose access tokens are accepted, and for whom they must be meant. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
}

/** Asymmetric ones only: nobody who knows a public key can make a token. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Some issuers do not name the type of their access tokens; whatever names another type is none. */
const types = new Set<unknown>([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);
/** Seconds that clocks may differ. */
const clockTolerance = 30;
/** How many verified tokens are remembered, and for how many milliseconds. */
const remembered = { most: 1_000, within: 60_000 };

const form = /^[\w-]+\.[\w-]+\.[\w-]*$/;
const subjectForm = /^[\x21-\x7e]{1,255}$/;

/** Access tokens of an OpenID provider: signed JWTs whose `scope` or `scp` names what they allow. */
export class AccessTokens {
  readonly #keys: IssuerKeys;
  readonly #verified = new BoundedMap<{ readonly credential: Credential; readonly until: number }>(remembered.most);

  constructor(
    private readonly of: TokenIssuer,
    private readonly now: () => number,
  ) {
    this.#keys = new IssuerKeys(of.issuer, now);
  }

  /** Whether a text has the form of a token. */
  static isToken(text: string): boolean {
    return form.test(text);
  }

  /** The credential of a token that was verified within the last minute. */
  find(digest: string): Credential | undefined {
    const found = this.#verified.get(digest);
    return found && found.until > this.now() ? found.credential : undefined;
  }

  /** @throws Refused; IssuerOutOfReach if nothing can be said about the token */
  async verify(token: string, digest: string): Promise<Credential> {
    const { errors, jwtVerify } = await import('jose'); // Not loaded where there is no provider.
    const { issuer, audience } = this.of;
    const options = { issuer, audience, algorithms, clockTolerance, requiredClaims: ['exp', 'sub'] };
    const { payload, protectedHeader } = await jwtVerify(token, this.#keys.find, options).catch((error: unknown) => {
      throw error instanceof errors.JOSEError ? new Refused(`access token: ${error.code} (${error.message})`) : error;
    });
    const type = protectedHeader.typ?.toLowerCase();
    if (!types.has(type)) throw new Refused('access token: its type is another one');
    const credential = credentialOf(payload);
    const expiresIn = payload.exp! * 1000 - Date.now();
    this.#verified.set(digest, { credential, until: this.now() + Math.min(remembered.within, expiresIn) });
    return credential;
  }
}

function credentialOf({ sub, scope, scp }: JWTPayload): Credential {
  if (!subjectForm.test(sub!)) throw new Refused('access token: its subject has other characters, or too many');
  const granted = [scope, scp].flat().flatMap((text) => (typeof text === 'string' ? text.split(' ') : []));
  return { id: `sub:${sub}`, actor: `sub:${sub}`, grants: new Set(granted.filter(isGrant)) };
}
