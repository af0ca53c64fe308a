import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestDatabase, freshDatabase } from '../support/database';
import { endAllServers, type RunningServer, runServer, startServer } from '../support/server';

const unsafe = { ALLOW_UNSAFE_DURABILITY: 'true' };

async function post(server: RunningServer, path: string, body: object): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

afterAll(endAllServers);

/** Whether the service has begun to read a request other than this one. */
async function running(server: RunningServer): Promise<boolean> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^batchwise_requests_running (\d+)$/m.exec(metrics)?.[1]) > 1;
}

describe('The service with its embedded PostgreSQL', () => {
  let folder: string;
  let env: Record<string, string>;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'batchwise-server-'));
    chmodSync(folder, 0o755);
    env = { BATCHWISE_DATA_DIR: join(folder, 'data') };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('starts from nothing, allocates, and leaves in order', async () => {
    const server = await startServer(env);
    expect((await post(server, '/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 10 })).status).toBe(201);
    expect((await post(server, '/v1/allocations', { orderId: 'o1', sku: 'LAMP', qty: 3 })).status).toBe(201);
    expect(server.output()).toContain(`${server.url}/docs`);
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('keeps what was there when it starts again, also after kill -9', async () => {
    const killed = await startServer(env);
    await post(killed, '/v1/allocations', { orderId: 'o2', sku: 'LAMP', qty: 4 });
    expect(await killed.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });

    const again = await startServer(env);
    for (const orderId of ['o1', 'o2']) expect((await fetch(`${again.url}/v1/orders/${orderId}`)).status).toBe(200);
    expect((await post(again, '/v1/allocations', { orderId: 'o3', sku: 'LAMP', qty: 4 })).status).toBe(409);
    await again.end('SIGTERM');
  });

  it('loses no acknowledged order when it and its database are killed under load', async () => {
    const server = await startServer(env);
    await post(server, '/v1/batches', { ref: 'b2', sku: 'CHAIR', qty: 1_000_000 });
    const acknowledged: string[] = [];
    let orders = 0;
    const client = async (): Promise<void> => {
      for (;;) {
        const orderId = `load-${orders++}`;
        const answer = await post(server, '/v1/allocations', { orderId, sku: 'CHAIR', qty: 1 }).catch(() => undefined);
        if (answer?.status !== 201) return;
        acknowledged.push(orderId);
      }
    };
    const clients = Promise.all(Array.from({ length: 32 }, client));
    while (acknowledged.length < 300) await new Promise(setImmediate);
    const database = Number(
      readFileSync(join(env.BATCHWISE_DATA_DIR!, 'cluster/postmaster.pid'), 'utf8').split('\n')[0],
    );
    process.kill(database, 'SIGKILL');
    await server.end('SIGKILL');
    await clients;

    const again = await startServer(env);
    const lost: string[] = [];
    for (const orderId of acknowledged) {
      if ((await fetch(`${again.url}/v1/orders/${orderId}`)).status !== 200) lost.push(orderId);
    }
    expect(lost).toEqual([]);
    const { promised } = (await (await fetch(`${again.url}/v1/batches/b2`)).json()) as { promised: number };
    expect(promised).toBeGreaterThanOrEqual(acknowledged.length);
    await again.end('SIGTERM');
  });

  it('shares its data directory with a second process', async () => {
    const first = await startServer(env);
    const second = await startServer(env);
    await first.end('SIGTERM');
    expect((await fetch(`${second.url}/v1/orders/o1`)).status).toBe(200);
    expect(await second.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('does what the README’s tour says', async () => {
    const server = await startServer({ BATCHWISE_DATA_DIR: join(folder, 'tour') });
    const readme = readFileSync(join(__dirname, '../../README.md'), 'utf8');
    const tour = readme.slice(readme.indexOf('## A five-minute tour'));
    const steps = [...tour.matchAll(/^(curl .*)\n#> (.*)$/gm)];
    expect(steps.length).toBeGreaterThan(8);
    for (const [, command, answer] of steps) {
      const here = command!.replaceAll('http://127.0.0.1:3000', server.url);
      const shown = JSON.parse(execFileSync('sh', ['-c', here], { encoding: 'utf8' })) as unknown;
      expect(shown).toEqual(expect.objectContaining(JSON.parse(answer!.replace(', …}', '}'))));
    }
    await server.end('SIGTERM');
  });
});

describe('The service with a PostgreSQL of its owner', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await freshDatabase();
  });
  afterAll(() => db.drop());

  it('refuses a server that may lose what was confirmed, unless that is accepted by name', async () => {
    const refused = await runServer({ DATABASE_URL: db.url });
    expect(refused.code).toBe(1);
    expect(refused.output).toContain('ALLOW_UNSAFE_DURABILITY');
    const server = await startServer({ DATABASE_URL: db.url, ...unsafe });
    expect(await server.end('SIGINT')).toEqual({ code: 0, signal: null });
  });

  it('refuses a schema that it does not know', async () => {
    const client = await db.client();
    await client.query(
      `INSERT INTO schema_migration (timestamp, name) VALUES (9999999999999, 'FromTheFuture9999999999999')`,
    );
    const refused = await runServer({ DATABASE_URL: db.url, ...unsafe });
    expect(refused).toEqual({ code: 1, output: expect.stringContaining('FromTheFuture') as string });
    await client.query(`DELETE FROM schema_migration WHERE timestamp = 9999999999999`);
  });

  it('says in one message what is wrong with its configuration', async () => {
    const refused = await runServer({ PORT: 'many', GROUP_MAX: '0', HOST: 'not a host' });
    expect(refused.code).toBe(1);
    for (const name of ['PORT', 'GROUP_MAX', 'HOST']) expect(refused.output).toContain(name);
    expect(refused.output).not.toMatch(/^ +at /m);
  });

  it('stops in time although clients left before their answers', async () => {
    const server = await startServer({ DATABASE_URL: db.url, ...unsafe });
    const leave = new AbortController();
    const left = fetch(`${server.url}/v1/allocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new ReadableStream({
        start: (body) => body.enqueue(Buffer.from('{"orderId":')),
      }),
      duplex: 'half',
      signal: leave.signal,
    });
    while (!(await running(server))) await new Promise(setImmediate);
    leave.abort();
    await expect(left).rejects.toThrow();
    const start = performance.now();
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('shows in a GET, on any replica, what the POST before it did, under load', async () => {
    const replicas = await Promise.all([1, 2].map(() => startServer({ DATABASE_URL: db.url, ...unsafe })));
    await post(replicas[0]!, '/v1/batches', { ref: 'read', sku: 'READ', qty: 1_000_000 });
    const untrue: string[] = [];
    const client = async (name: number): Promise<void> => {
      for (let n = 0; n < 25; n += 1) {
        const orderId = `read-${name}-${n}`;
        const promised = await post(replicas[n % 2]!, '/v1/allocations', { orderId, sku: 'READ', qty: 1 });
        await promised.text();
        const order = await fetch(`${replicas[(n + 1) % 2]!.url}/v1/orders/${orderId}`);
        const { lines } = (await order.json()) as { lines?: { batchRef: string }[] };
        if (promised.status !== 201 || lines?.[0]?.batchRef !== 'read') untrue.push(orderId);
      }
    };
    await Promise.all(Array.from({ length: 24 }, (_, name) => client(name)));
    expect(untrue).toEqual([]);
    for (const replica of replicas) await replica.end('SIGTERM');
  });

  it('answers every request that it took in before it was told to stop', async () => {
    const server = await startServer({ DATABASE_URL: db.url, ...unsafe, DRAIN_DELAY_MS: '200' });
    await post(server, '/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 1_000_000 });
    const outcomes: (number | string)[] = [];
    let leaving = false;
    const client = async (name: number): Promise<void> => {
      for (let n = 0; !leaving; n += 1) {
        const answer = await post(server, '/v1/allocations', { orderId: `o-${name}-${n}`, sku: 'LAMP', qty: 1 });
        outcomes.push(answer.status);
        await answer.text();
      }
    };
    const clients = Promise.all(Array.from({ length: 16 }, (_, name) => client(name)));
    while (outcomes.length < 200) await new Promise(setImmediate);
    const ended = server.end('SIGTERM');
    leaving = true;
    await clients;
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(new Set(outcomes)).toEqual(new Set([201]));
  });
});
