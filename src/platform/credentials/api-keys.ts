import { Injectable, Logger } from '@nestjs/common';
import { Overloaded } from '../../kernel/unit-of-work';
import { Database } from '../database/database';
import { type Grant } from '../http/scope';
import { sleepUntil } from '../sleep-until';
import { type Credential, Refused } from './credential';

/** Milliseconds between looks at the table while requests come. */
const lookEvery = 1_000;
/** Milliseconds that what was seen holds: no revoked key is taken longer. */
const holdsFor = 5_000;

const all = {
  name: 'api-keys',
  text: `
    SELECT id, name, scopes, encode(digest, 'hex') AS digest, revoked_at IS NOT NULL AS revoked,
           extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS "expiresIn"
    FROM platform.api_key`,
};

interface Row {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Grant[];
  readonly digest: string;
  readonly revoked: boolean;
  /** Milliseconds by the database's clock; null: never. */
  readonly expiresIn: number | null;
}

interface Key {
  readonly credential: Credential;
  readonly revoked: boolean;
  readonly expiresAt: number;
}

interface Sight {
  readonly at: number;
  readonly keys: ReadonlyMap<string, Key>;
}

/**
 * The keys that are kept in the database, as this process saw them a moment ago: finding one costs no statement, and
 * unknown ones cost one a second, however many are tried. What was seen more than five seconds ago counts for nothing.
 */
@Injectable()
export class ApiKeys {
  /** Milliseconds; a test may have a clock of its own. */
  now: () => number = () => performance.now();
  readonly #log = new Logger('Credentials');
  #sight: Sight | undefined;
  #lookedAt = -Infinity;
  #looking: Promise<void> | undefined;

  constructor(private readonly database: Database) {}

  /** Whether there are any, be it revoked or expired ones. Undefined: that is not known, {@link look}. */
  get any(): boolean | undefined {
    const keys = this.#held();
    return keys && keys.size > 0;
  }

  /**
   * The credential of a key, by its digest. Undefined: none is known, which another {@link look} may change.
   * @throws Refused if it is revoked or expired
   */
  find(digest: string): Credential | undefined {
    const key = this.#held()?.get(digest);
    if (key === undefined) return undefined;
    if (key.revoked) throw new Refused(`key ${key.credential.id} is revoked`);
    if (key.expiresAt <= this.now()) throw new Refused(`key ${key.credential.id} is expired`);
    return key.credential;
  }

  /**
   * Looks at the table, unless that was done within the last second.
   * @throws Overloaded if nothing that holds is known then
   */
  async look(): Promise<void> {
    if (this.#looking === undefined && this.now() - this.#lookedAt >= lookEvery) this.#begin();
    if (this.#looking !== undefined) await sleepUntil(this.#looking, holdsFor);
    if (this.#held() === undefined)
      throw new Overloaded('Credentials cannot be checked while the database does not answer. Try again.');
  }

  /** What was seen, as long as it holds. It is renewed beside the request that finds it older than a second. */
  #held(): Sight['keys'] | undefined {
    const now = this.now();
    if (this.#looking === undefined && now - this.#lookedAt >= lookEvery) this.#begin();
    return this.#sight && now - this.#sight.at <= holdsFor ? this.#sight.keys : undefined;
  }

  #begin(): void {
    const at = this.now();
    this.#lookedAt = at;
    this.#looking = this.database
      .query<Row>(all)
      .then(
        (rows) => void (this.#sight = { at, keys: new Map(rows.map((row) => [row.digest, keyOf(row, at)])) }),
        (error: unknown) => this.#log.warn(`The keys could not be read: ${String(error)}`),
      )
      .finally(() => (this.#looking = undefined));
  }
}

const keyOf = ({ id, name, scopes, revoked, expiresIn }: Row, at: number): Key => ({
  credential: { id: `bw_${id}`, actor: `key:${name}`, grants: new Set(scopes) },
  revoked,
  expiresAt: expiresIn === null ? Infinity : at + expiresIn,
});
