import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';

export const isRedisInstalled = (): boolean => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** A Redis of the test's own, which forgets everything when it is killed. */
export class RedisServer {
  private server: ChildProcess | undefined;
  private readonly clients: Redis[] = [];

  private constructor(readonly port: number) {}

  static async start(): Promise<RedisServer> {
    const redis = new RedisServer(await freePort());
    await redis.startAgain();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** A client of the test's own, closed with the server. */
  client(): Redis {
    const client = new Redis(this.url);
    client.on('error', () => undefined);
    this.clients.push(client);
    return client;
  }

  /** As empty as a new one, on the same port. */
  async startAgain(): Promise<void> {
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const server = spawn('redis-server', settings, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      server.stdout.on('data', (text) => {
        said += String(text);
        if (said.includes('Ready to accept connections')) resolve();
      });
      server.once('error', reject);
      server.once('exit', () => reject(new Error(`redis-server ended: ${said}`)));
    });
  }

  async kill(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }

  freeze(): void {
    this.server!.kill('SIGSTOP');
  }

  thaw(): void {
    this.server!.kill('SIGCONT');
  }

  async end(): Promise<void> {
    for (const client of this.clients) client.disconnect();
    await this.kill();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The entries of a stream, each as an object of its fields. */
export async function entriesOf(client: Redis, stream: string): Promise<Record<string, string>[]> {
  return (await client.xrange(stream, '-', '+')).map(([, fields]) => {
    const pairs = fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1]!]] : []));
    return Object.fromEntries(pairs) as Record<string, string>;
  });
}
