import { idPattern } from '../http/fields';
import { type Grant, isGrant } from '../http/scope';
import { digestOf } from './api-key';

/** A key that the configuration brings along. */
export interface ConfiguredKey {
  readonly name: string;
  readonly grants: readonly Grant[];
  readonly digest: string;
}

/** How a key of the configuration is written. */
export const keyForm = '<name> <scope>,<scope>… <key of 32 to 256 characters, or sha256:<its hash in hexadecimal>>';

const hashed = /^sha256:([0-9a-f]{64})$/;
const plain = /^[\w.~+/=-]{32,256}$/;

/**
 * Keys, one a line or divided by `;`; what begins with `#` is a remark.
 * @returns undefined if one of them is not written like {@link keyForm}, or two are the same
 */
export function configuredKeys(text: string): readonly ConfiguredKey[] | undefined {
  const entries = text
    .split(/[\n;]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '' && !entry.startsWith('#'));
  const keys = entries.flatMap((entry) => configuredKey(entry) ?? []);
  const digests = new Set(keys.map(({ digest }) => digest));
  return digests.size === entries.length ? keys : undefined;
}

function configuredKey(entry: string): ConfiguredKey | undefined {
  const [name = '', scopes = '', secret = '', ...more] = entry.split(/\s+/);
  const grants = scopes.split(',').filter(isGrant);
  if (!idPattern.test(name) || grants.join() !== scopes || more.length > 0) return undefined;
  const digest = hashed.exec(secret)?.[1] ?? (plain.test(secret) ? digestOf(secret) : undefined);
  return digest === undefined ? undefined : { name, grants, digest };
}
