import { createHash, randomBytes } from 'node:crypto';

const form = /^bw_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

/** A key as its owner gets it: `bw_`, an id by which lists and logs name it, and 256 random bits. */
export function newApiKey(): { readonly id: string; readonly key: string } {
  const id = randomBytes(6).toString('hex');
  return { id, key: `bw_${id}_${randomBytes(32).toString('base64url')}` };
}

/** The id of what has the form of a key; undefined for anything else. */
export const idOfApiKey = (secret: string): string | undefined => form.exec(secret)?.[1];

/**
 * What is kept of a key, and what it is found by: SHA-256, in hexadecimal. A key is random, so that there is nothing to
 * guess that a slow hash would protect; and as keys are compared by their hashes only, time tells nothing about them.
 */
export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
