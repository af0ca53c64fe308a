import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A mail as it came over the wire. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What the server says to a recipient, or to a text: undefined, that it is welcome. */
export interface Refusals {
  recipient?: number;
  text?: number;
  /** Closes the connection when the text has come, without an answer. */
  cut?: boolean;
  /** Says nothing when the text has come. */
  hang?: boolean;
}

const running = new Set<{ stop(): unknown }>();

/** Stops every server that a test has started. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
  running.clear();
}

/** A mail server in this process, on a free port of the loopback interface. */
export class MailServer {
  readonly received: ReceivedMail[] = [];
  refusals: Refusals = {};
  port = 0;
  #server: SMTPServer | undefined;

  constructor(private readonly options: SMTPServerOptions = {}) {}

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  get messageIds(): string[] {
    return this.received.map(({ headers }) => headers['message-id']!);
  }

  /** Starts, on the port that it had before if it was stopped. */
  async start(): Promise<this> {
    const server = new SMTPServer({
      authOptional: true,
      hideSTARTTLS: true,
      disableReverseLookup: true,
      closeTimeout: 10,
      onRcptTo: (_address, _session, done) => done(refusal(this.refusals.recipient)),
      onData: (stream, session, done) => {
        void text(stream).then((source) => {
          const { mailFrom, rcptTo } = session.envelope;
          const from = mailFrom === false ? '' : mailFrom.address;
          const { cut, hang, text: code } = this.refusals;
          if (!code) this.received.push({ from, to: rcptTo.map(({ address }) => address), ...parse(source) });
          if (cut) socketOf(server, session.id).destroy();
          else if (!hang) done(refusal(code));
        });
      },
      ...this.options,
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.server.address() as AddressInfo).port;
    this.#server = server;
    running.add(this);
    return this;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => (this.#server ? this.#server.close(resolve) : resolve()));
    this.#server = undefined;
  }
}

/** The URL of a server that does with a connection whatever `talk` does. */
export async function listenRaw(talk: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.add({
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  return `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const refusal = (responseCode: number | undefined): Error | null =>
  responseCode ? Object.assign(new Error('not this one'), { responseCode }) : null;

function socketOf(server: SMTPServer, id: string): Socket {
  const connections = [...(server as unknown as { connections: Set<{ id: string; _socket: Socket }> }).connections];
  return connections.find((connection) => connection.id === id)!._socket;
}

function parse(source: string): { headers: Record<string, string>; text: string } {
  const end = source.indexOf('\r\n\r\n');
  const lines = source
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines
    .map((line) => /^([^:]+): ?(.*)$/.exec(line)!)
    .map(([, name, value]) => [name!.toLowerCase(), value!]);
  return {
    headers: Object.fromEntries(headers),
    text: source
      .slice(end + 4)
      .replace(/\r\n$/, '')
      .replaceAll('\r\n', '\n'),
  };
}
