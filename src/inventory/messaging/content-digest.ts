import { createHash } from 'node:crypto';

/** The digest of a file's content, by which it is known again: SHA-256. */
export class ContentDigest {
  private readonly hash = createHash('sha256');

  /** Of all bytes of a file, in hex. */
  static async of(bytes: AsyncIterable<Uint8Array>): Promise<string> {
    const digest = new ContentDigest();
    for await (const piece of bytes) digest.hash.update(piece);
    return digest.end();
  }

  /** Takes bytes in as they pass. */
  async *through(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      this.hash.update(piece);
      yield piece;
    }
  }

  /** Of all that has passed, in hex; nothing passes after it. */
  end(): string {
    return this.hash.digest('hex');
  }
}
