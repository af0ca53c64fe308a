import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What happens to the next COMMIT. */
export type Fault =
  /** The connection is cut; the server never sees the COMMIT. */
  | 'cut before'
  /** The connection is cut; the server has committed and its answer is lost. */
  | 'cut after'
  /** The COMMIT disappears, and with it everything that follows on a connection that stays open. */
  | 'silence before'
  /** The same, from the server's answer on. */
  | 'silence after';

interface Message {
  /** The type byte; empty for the first message of a client, which has none. */
  readonly type: string;
  readonly body: Buffer;
  readonly bytes: Buffer;
}

/** Cuts a stream into the messages of PostgreSQL's protocol, version 3. */
class MessageReader {
  private rest = Buffer.alloc(0);

  constructor(private first: boolean) {}

  *read(chunk: Buffer): Generator<Message> {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const head = this.first ? 0 : 1;
      if (this.rest.length < head + 4) return;
      const end = head + this.rest.readInt32BE(head);
      if (this.rest.length < end) return;
      const bytes = this.rest.subarray(0, end);
      this.rest = this.rest.subarray(end);
      yield { type: this.first ? '' : String.fromCharCode(bytes[0]!), body: bytes.subarray(head + 4), bytes };
      this.first = false;
    }
  }
}

const isCommit = ({ type, body }: Message): boolean => type === 'Q' && body.toString('latin1') === 'COMMIT\0';
const isCommitted = ({ type, body }: Message): boolean => type === 'C' && body.toString('latin1') === 'COMMIT\0';

type Side = 'client' | 'server';

/** Stands between a client and its PostgreSQL, on the loopback interface, and lets the network fail at a chosen point. */
export class PostgresProxy {
  private readonly sockets = new Set<Socket>();
  private armed: { readonly fault: Fault; readonly struck: () => void } | undefined;
  private budget: { readonly of: Side; bytes: number; readonly struck: () => void } | undefined;
  private stop: { readonly at: string; readonly struck: () => void } | undefined;
  private held: (() => void)[] | undefined;

  private constructor(
    private readonly server: Server,
    private readonly target: { readonly host: string; readonly port: number },
    /** Like the database's own, but leading through the proxy. */
    readonly url: string,
  ) {
    server.on('connection', (client) => this.join(client));
  }

  static async before(databaseUrl: string): Promise<PostgresProxy> {
    const url = new URL(databaseUrl);
    const target = { host: url.hostname, port: Number(url.port) };
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    url.port = String((server.address() as AddressInfo).port);
    return new PostgresProxy(server, target, url.href);
  }

  /**
   * Lets the next COMMIT meet a fault. From then on nothing that clients send gets through until {@link goOn}, so that
   * the world can change before anyone tries again.
   * @returns when it has happened; after a cut, when the server has ended the session
   */
  nextCommit(fault: Fault): Promise<void> {
    return new Promise((struck) => (this.armed = { fault, struck }));
  }

  /**
   * Cuts the connection on which the next `bytes` that one side sends run out, wherever that is in its messages.
   * @returns when the server has ended the session
   */
  cutWithin(bytes: number, of: Side): Promise<void> {
    return new Promise((struck) => (this.budget = { of, bytes, struck }));
  }

  /**
   * Keeps back the next message of a client that contains `text`, and everything that clients send after it.
   * @returns when it has come
   */
  holdAt(text: string): Promise<void> {
    return new Promise((struck) => (this.stop = { at: text, struck }));
  }

  /** Lets what was kept back, and everything after it, through. */
  goOn(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const send of held) send();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private join(client: Socket): void {
    const server = connect(this.target);
    const peers = { client: server, server: client };
    const readers = { client: new MessageReader(true), server: new MessageReader(false) };
    let silent = false;
    let severed = false;
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        if (!silent && !severed) for (const other of [client, server]) other.destroy();
      });
    }

    /** The client finds its connection reset; the server reads what was sent, finds the end, and closes the session. */
    const sever = (struck: () => void, lastBytes: Uint8Array = new Uint8Array()): void => {
      severed = true;
      client.destroy();
      server.once('close', struck);
      server.end(lastBytes);
    };

    const pass = (message: Message, from: Side): void => {
      if (silent || severed) return;
      if (this.held && from === 'client') return void this.held.push(() => pass(message, from));
      const { armed, budget, stop } = this;
      const point = from === 'client' ? isCommit(message) : isCommitted(message);
      if (stop && from === 'client' && message.bytes.includes(stop.at)) {
        this.stop = undefined;
        this.held = [() => pass(message, from)];
        stop.struck();
      } else if (armed && point && armed.fault.endsWith('after') === (from === 'server')) {
        this.armed = undefined;
        this.held = [];
        silent = armed.fault.startsWith('silence');
        if (silent) armed.struck();
        else sever(armed.struck);
      } else if (budget?.of === from && budget.bytes <= message.bytes.length) {
        this.budget = undefined;
        const last = message.bytes.subarray(0, budget.bytes);
        severed = true;
        if (from === 'client') sever(budget.struck, last);
        else client.write(last, () => sever(budget.struck));
      } else {
        if (budget?.of === from) budget.bytes -= message.bytes.length;
        peers[from].write(message.bytes);
      }
    };

    for (const [side, socket] of [['client', client] as const, ['server', server] as const]) {
      socket.on('data', (chunk) => {
        for (const message of readers[side].read(chunk)) pass(message, side);
      });
    }
  }
}
