import { Agent, request } from 'node:http';
import { freshDatabase, type TestDatabase } from '../support/database';
import { RawConnection } from '../support/raw-connection';
import { endAllServers, type RunningServer, startServer } from '../support/server';

describe('A server that is told to stop', () => {
  let database: TestDatabase;

  beforeAll(async () => (database = await freshDatabase()));
  afterAll(async () => {
    endAllServers();
    await database.drop();
  });

  const start = (drainDelay: number): Promise<RunningServer> =>
    startServer({
      DATABASE_URL: database.url,
      ALLOW_UNSAFE_DURABILITY: 'true',
      DRAIN_DELAY_MS: String(drainDelay),
    });

  const noLongerReady = async ({ url }: RunningServer): Promise<void> => {
    while ((await fetch(`${url}/health/ready`)).status === 200);
  };

  /** Waits until the service has begun to read so many requests. */
  const areRunning = async (requests: number, { url }: RunningServer): Promise<void> => {
    const running = async (): Promise<number> => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      return Number(/^batchwise_requests_running (\d+)$/m.exec(metrics)?.[1]) - 1; // Without the one for the metrics.
    };
    while ((await running()) < requests);
  };

  it('loses no request of clients that keep their connections: it is alive, but not ready, until they are gone', async () => {
    const server = await start(1_000);
    await post(server.url, '/v1/batches', { ref: 'batch-1', sku: 'TABLE', qty: 1_000_000 });
    let answered = 0;
    let ended: ReturnType<RunningServer['end']> | undefined;
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
        if (answered === 200) ended = server.end('SIGTERM');
        if (connection === 'close') return agent.destroy();
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, i) => client(`client${i}`)));
    expect([...statuses]).toEqual([201]);
    await noLongerReady(server);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    expect(await ended).toEqual({ code: 0, signal: null });
    await expect(fetch(server.url)).rejects.toThrow();
    const lines = await (
      await database.client()
    ).query<{ n: number }>('SELECT count(*)::int AS n FROM allocation.line');
    expect(lines.rows[0]?.n).toBe(answered);
  });

  it('waits for a request that is still arriving, but not for idle connections, nor for clients that have left', async () => {
    const server = await start(0);
    const port = Number(new URL(server.url).port);
    const left = new RawConnection(port).request('POST', '/v1/batches', '{"ref":', { 'content-length': '100' });
    await areRunning(1, server);
    left.destroy();
    const idle = new RawConnection(port).request('GET', '/health/live');
    await idle.answer();
    const body = JSON.stringify({ ref: 'slow', sku: 'CHAIR', qty: 1 });
    const headers = { 'content-length': `${body.length}`, expect: '100-continue' };
    const slow = new RawConnection(port).request('POST', '/v1/batches', '', headers);
    expect((await slow.answer()).status).toBe(100);
    const told = performance.now();
    const ended = server.end('SIGINT');
    await idle.end();
    slow.write(body);
    expect(await slow.answer()).toMatchObject({ status: 201 });
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - told).toBeLessThan(10_000);
  });

  it('stops at once on a second signal', async () => {
    const server = await start(20_000);
    const ended = server.end('SIGINT');
    await noLongerReady(server);
    process.kill(server.pid, 'SIGINT');
    expect((await ended).code).toBe(1);
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
