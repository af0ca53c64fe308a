import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as it came over the wire. */
export interface ReceivedWebhook {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What the sink does with a request: a status to answer, or anything else that a server can do. */
export type Behaviour = number | ((response: ServerResponse, socket: Socket) => void);

/** Answers never. */
export const hang: Behaviour = () => undefined;
/** Closes the connection without an answer. */
export const cut: Behaviour = (_response, socket) => socket.destroy();
/** Begins to answer, and goes on for ever, a byte at a time. */
export const drip: Behaviour = (response) => {
  response.writeHead(200);
  response.flushHeaders();
  const timer = setInterval(() => response.write('.'), 10);
  response.on('close', () => clearInterval(timer));
};
/** Answers with more than anyone wants to read, as fast as it can. */
export const flood: Behaviour = (response) => {
  response.writeHead(200);
  const chunk = Buffer.alloc(64 * 1024);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
};
/** Sends whoever asks to another place. */
export const redirectTo =
  (location: string): Behaviour =>
  (response) =>
    void response.writeHead(302, { location }).end();

/** An endpoint for webhooks in this process, on a free port of the loopback interface. */
export class WebhookSink {
  readonly received: ReceivedWebhook[] = [];
  behaviour: Behaviour = 204;
  /** Connections that were ever opened. */
  connections = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      response.on('error', () => undefined);
      void text(request).then((body) => {
        this.received.push({ headers: request.headers, body });
        const { behaviour } = this;
        if (typeof behaviour === 'number') response.writeHead(behaviour).end();
        else behaviour(response, request.socket);
      });
    });
    this.#server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket.on('error', () => undefined));
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/events?token=s3cret`;
  }

  get ids(): string[] {
    return this.received.map(({ headers }) => String(headers['webhook-id']));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** Ends it, with whatever is under way. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
