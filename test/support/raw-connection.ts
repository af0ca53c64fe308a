import { connect } from 'node:net';

/** A connection on which a test writes bytes and reads answers, one at a time. */
export class RawConnection {
  readonly #socket;
  #received = Buffer.alloc(0);
  #wake = (): void => undefined;
  closed = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.#socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
  }

  write(...bytes: (string | Buffer)[]): this {
    for (const part of bytes) this.#socket.write(part);
    return this;
  }

  /** A request with a body whose length is told truly unless `headers` say otherwise. */
  request(method: string, path: string, body: string | Buffer = '', headers: Record<string, string> = {}): this {
    const lines = {
      host: 'localhost',
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    };
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    return this.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`, body);
  }

  /** The next answer. Its body must have a length. */
  async answer(): Promise<{ status: number; headers: Record<string, string>; body: string }> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [first = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ', 2) as [string, string]));
        const length = Number(headers['content-length'] ?? 0);
        const body = this.#received.subarray(end + 4, end + 4 + length);
        if (body.length === length) {
          this.#received = this.#received.subarray(end + 4 + length);
          return { status: Number(first.split(' ')[1]), headers, body: body.toString() };
        }
      }
      if (this.closed)
        throw new Error(`The connection was closed after ${JSON.stringify(this.#received.toString('latin1'))}.`);
      await this.#changed();
    }
  }

  /** Resolves when the other side has closed the connection. */
  async end(): Promise<void> {
    while (!this.closed) await this.#changed();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
