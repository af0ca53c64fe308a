import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** Asking the system for random bytes costs as much for many as for few. */
const bytes = new Uint8Array(8192);
const bytesOfAnId = 16;
let used = bytes.length;

/** A UUID of version 7: unique, and later ones sort behind those of earlier milliseconds. */
export function newId(): string {
  if (used === bytes.length) {
    randomFillSync(bytes);
    used = 0;
  }
  used += bytesOfAnId;
  return v7({ random: bytes.subarray(used - bytesOfAnId, used) });
}
