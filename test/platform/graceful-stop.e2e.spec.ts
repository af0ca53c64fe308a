import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { RawConnection } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { type RunningServer, runServer, startServer } from '../support/server';

describe('The server', () => {
  let database: TestDatabase;
  let env: Record<string, string>;
  const running = new Set<RunningServer>();

  beforeAll(async () => {
    database = await freshDatabase();
    env = { DATABASE_URL: database.url, ALLOW_UNSAFE_DURABILITY: 'true' };
  });
  afterAll(async () => {
    await Promise.all([...running].map((server) => server.end('SIGKILL')));
    await database.drop();
  });

  async function start(variables: Record<string, string>): Promise<RunningServer> {
    const server = await startServer({ ...env, ...variables });
    running.add(server);
    return server;
  }

  async function end(server: RunningServer, signal: NodeJS.Signals): Promise<number | null> {
    const { code } = await server.end(signal);
    running.delete(server);
    return code;
  }

  const noLongerReady = async ({ url }: RunningServer): Promise<void> => {
    while ((await fetch(`${url}/health/ready`)).status === 200);
  };

  it('says in one line where it and its explorer are', async () => {
    const server = await start({});
    expect(server.output()).toBe(`Batchwise is ready: ${server.url} - explorer: ${server.url}/docs\n`);
    expect((await fetch(`${server.url}/docs`)).status).toBe(200);
    expect(await end(server, 'SIGTERM')).toBe(0);
  }, 30_000);

  it('stops under load without losing a request of clients that keep their connections', async () => {
    const server = await start({ DRAIN_DELAY_MS: '300' });
    await post(server.url, '/v1/batches', { ref: 'batch-1', sku: 'TABLE', qty: 1_000_000 });
    let answered = 0;
    let ended: Promise<number | null> | undefined;
    const statuses = new Set<number>();
    const client = async (name: string): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let n = 0; ; n += 1) {
        const { status, connection } = await post(
          server.url,
          '/v1/allocations',
          { orderId: `${name}-${n}`, sku: 'TABLE', qty: 1 },
          agent,
        );
        statuses.add(status);
        answered += 1;
        if (answered === 200) ended = end(server, 'SIGTERM');
        if (connection === 'close') return agent.destroy();
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, i) => client(`client${i}`)));
    expect([...statuses]).toEqual([201]);
    expect(await ended).toBe(0);
    const lines = await (
      await database.client()
    ).query<{ n: number }>('SELECT count(*)::int AS n FROM allocation.line');
    expect(lines.rows[0]?.n).toBe(answered);
  }, 60_000);

  it('is alive but not ready while it stops, and takes no more connections in the end', async () => {
    const server = await start({ DRAIN_DELAY_MS: '1000' });
    const ended = end(server, 'SIGTERM');
    await noLongerReady(server);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    expect(await ended).toBe(0);
    await expect(fetch(server.url)).rejects.toThrow();
  }, 30_000);

  it('waits for a request that is still arriving, and not for connections that are idle', async () => {
    const server = await start({ DRAIN_DELAY_MS: '0' });
    const port = Number(new URL(server.url).port);
    const body = JSON.stringify({ ref: 'slow', sku: 'CHAIR', qty: 1 });
    const idle = new RawConnection(port).request('GET', '/health/live');
    await idle.answer();
    const headers = { 'content-length': `${body.length}`, expect: '100-continue' };
    const slow = new RawConnection(port).request('POST', '/v1/batches', '', headers);
    expect((await slow.answer()).status).toBe(100);
    const ended = end(server, 'SIGTERM');
    await idle.end();
    slow.write(body);
    expect(await slow.answer()).toMatchObject({ status: 201 });
    expect(await ended).toBe(0);
  }, 30_000);

  it('stops at once on a second signal', async () => {
    const server = await start({ DRAIN_DELAY_MS: '20000' });
    const ended = end(server, 'SIGINT');
    await noLongerReady(server);
    process.kill(server.pid, 'SIGINT');
    expect(await ended).toBe(1);
  }, 30_000);

  describe('tells in a line why it does not start:', () => {
    it('the port is in use', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      expect(await runServer({ ...env, PORT: `${port}` })).toEqual({
        code: 1,
        output: `Batchwise cannot listen on 127.0.0.1:${port}: the port is in use. Set PORT to another one.\n`,
      });
      other.close();
    }, 30_000);

    it('the database is out of reach', async () => {
      const { code, output } = await runServer({ DATABASE_URL: 'postgres://nobody:secret@127.0.0.1:1/none' });
      expect(code).toBe(1);
      expect(output).toMatch(/^Batchwise cannot start: .*127\.0\.0\.1:1.*\n$/);
      expect(output).not.toContain('secret');
    }, 30_000);

    it('the database does not exist', async () => {
      const url = new URL(database.url);
      url.pathname = '/nothing';
      const { code, output } = await runServer({ ...env, DATABASE_URL: url.href });
      expect(code).toBe(1);
      expect(output).toMatch(/^Batchwise cannot start: .*"nothing" does not exist\n$/);
    }, 30_000);
  });
});

/** A POST on a connection of `agent`; fails as soon as the connection does. */
function post(url: string, path: string, body: object, agent?: Agent): Promise<{ status: number; connection: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(`${url}${path}`, { method: 'POST', headers, ...(agent && { agent }) });
    sent.on('error', reject);
    sent.on('response', (answer) => {
      answer.resume();
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, connection: answer.headers.connection ?? '' }));
    });
    sent.end(JSON.stringify(body));
  });
}
