import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import type { Certified } from '../support/certificates';

/** A request as it came over the wire. */
export interface ReceivedWebhook {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whom the client asked for when it began TLS. */
  readonly serverName?: string | undefined;
}

/** What the sink does with a request: a status to answer, or anything else that a server can do. */
export type Behaviour = number | ((response: ServerResponse, socket: Socket) => void);

/** Answers never. */
export const hang: Behaviour = () => undefined;
/** Closes the connection without an answer. */
export const cut: Behaviour = (_response, socket) => socket.destroy();
/** Closes the connection in the middle of an answer that began well. */
export const cutMidway: Behaviour = (response, socket) => {
  response.writeHead(200, { 'content-length': 100 }).write('so far', () => socket.destroy());
};
/** Writes bytes to the connection, whatever they mean. */
export const say =
  (bytes: string): Behaviour =>
  (_response, socket) =>
    void socket.write(bytes);
/** Writes some bytes, and then others for ever, again and again. */
const repeat =
  (first: string, more: string): Behaviour =>
  (_response, socket) => {
    socket.write(first);
    const timer = setInterval(() => socket.write(more), 10);
    socket.on('close', () => clearInterval(timer));
  };
/** Begins to answer, and goes on for ever, a byte at a time. */
export const drip = repeat('HTTP/1.1 200 OK\r\n\r\n', '.');
/** Begins to answer, and never comes to the end of the headers. */
export const dripHeaders = repeat('HTTP/1.1 200 OK\r\n', 'x: y\r\n');
/** Says again and again that the answer is yet to come. */
export const dripInterim = repeat('', 'HTTP/1.1 102 Processing\r\n\r\n');
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
  (location: string, status = 302): Behaviour =>
  (response) =>
    void response.writeHead(status, { location }).end();

/** An endpoint for webhooks in this process, on a free port of the loopback interface. */
export class WebhookSink {
  readonly received: ReceivedWebhook[] = [];
  behaviour: Behaviour = 204;
  /** Connections that were ever opened. */
  connections = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  /** @param certified over TLS then */
  constructor(certified?: Certified) {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      response.on('error', () => undefined);
      void text(request).then((body) => {
        const { servername } = request.socket as Partial<TLSSocket>;
        this.received.push({ headers: request.headers, body, serverName: servername || undefined });
        const { behaviour } = this;
        if (typeof behaviour === 'number') response.writeHead(behaviour).end();
        else behaviour(response, request.socket);
      });
    };
    this.#server = certified ? createSecureServer(certified, answer) : createServer(answer);
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
