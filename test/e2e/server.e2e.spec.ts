import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestDatabase, freshDatabase } from '../support/database';
import { endAllServers, type RunningServer, runServer, startServer } from '../support/server';

const unsafe = { ALLOW_UNSAFE_DURABILITY: 'true' };
const stopped = { code: 0, signal: null };

async function post(server: RunningServer, path: string, body: object): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const orderIsThere = async (server: RunningServer, orderId: string): Promise<boolean> =>
  (await fetch(`${server.url}/v1/orders/${orderId}`)).status === 200;

afterAll(endAllServers);

describe('The service with its embedded PostgreSQL', () => {
  let folder: string;
  let env: Record<string, string>;
  /** The one that runs: each test goes on where the one before it ended. */
  let server: RunningServer;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'batchwise-server-'));
    chmodSync(folder, 0o755);
    env = { BATCHWISE_DATA_DIR: join(folder, 'data') };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('starts from nothing, does what the README’s tour says, and leaves in order', async () => {
    server = await startServer(env);
    const readme = readFileSync(join(__dirname, '../../README.md'), 'utf8');
    const tour = readme.slice(readme.indexOf('## A five-minute tour'));
    const steps = [...tour.matchAll(/^(curl .*)\n#> (.*)$/gm)];
    expect(steps.length).toBeGreaterThan(8);
    for (const [, command, answer] of steps) {
      const here = command!.replaceAll('http://127.0.0.1:3000', server.url);
      const shown = JSON.parse(execFileSync('sh', ['-c', here], { encoding: 'utf8' })) as unknown;
      expect(shown).toEqual(expect.objectContaining(JSON.parse(answer!.replace(', …}', '}'))));
    }
    expect(await server.end('SIGTERM')).toEqual(stopped);
  });

  it('keeps what was there when it starts again, also after kill -9', async () => {
    const killed = await startServer(env);
    expect(await orderIsThere(killed, 'o-3')).toBe(true);
    await post(killed, '/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 10 });
    await post(killed, '/v1/allocations', { orderId: 'o1', sku: 'LAMP', qty: 7 });
    expect(await killed.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });

    server = await startServer(env);
    for (const orderId of ['o-3', 'o1']) expect(await orderIsThere(server, orderId)).toBe(true);
    expect((await post(server, '/v1/allocations', { orderId: 'o2', sku: 'LAMP', qty: 4 })).status).toBe(409);
  });

  it('shares its data directory with a second process', async () => {
    const second = await startServer(env);
    expect(await server.end('SIGTERM')).toEqual(stopped);
    server = second;
    expect(await orderIsThere(server, 'o1')).toBe(true);
  });

  it('loses no acknowledged order when it and its database are killed under load', async () => {
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
    const found = await Promise.all(acknowledged.map((orderId) => orderIsThere(again, orderId)));
    expect(acknowledged.filter((_, place) => !found[place])).toEqual([]);
    const { promised } = (await (await fetch(`${again.url}/v1/batches/b2`)).json()) as { promised: number };
    expect(promised).toBeGreaterThanOrEqual(acknowledged.length);
    expect(await again.end('SIGTERM')).toEqual(stopped);
  });
});

describe('The service with a PostgreSQL of its owner', () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  beforeAll(async () => {
    db = await freshDatabase();
    env = { DATABASE_URL: db.url, ...unsafe };
  });
  afterAll(() => db.drop());

  describe('on two replicas', () => {
    let replicas: RunningServer[];
    beforeAll(async () => (replicas = await Promise.all([startServer(env), startServer(env)])));
    afterAll(() => Promise.all(replicas.map((replica) => replica.end('SIGTERM'))));

    it('says in one line where it and its explorer are', async () => {
      for (const { url, output } of replicas) {
        expect(output()).toBe(`Batchwise is ready: ${url} - explorer: ${url}/docs\n`);
        expect((await fetch(`${url}/docs`)).status).toBe(200);
      }
    });

    it('shows in a GET, on any replica, what the POST before it did, under load', async () => {
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
    });
  });

  describe('says why it does not start:', () => {
    it('the database is out of reach, does not exist, or may lose what was confirmed', async () => {
      const missing = new URL(db.url);
      missing.pathname = '/nothing';
      const refusals = await Promise.all([
        runServer({ DATABASE_URL: 'postgres://nobody:secret@127.0.0.1:1/none' }),
        runServer({ ...env, DATABASE_URL: missing.href }),
        runServer({ DATABASE_URL: db.url }),
      ]);
      expect(refusals).toEqual([
        { code: 1, output: expect.stringMatching(/^Batchwise cannot start: .*127\.0\.0\.1:1.*\n$/) },
        { code: 1, output: expect.stringMatching(/^Batchwise cannot start: .*"nothing" does not exist\n$/) },
        { code: 1, output: expect.stringContaining('ALLOW_UNSAFE_DURABILITY') },
      ]);
      expect(refusals[0].output).not.toContain('secret');
    });

    it('the schema is not known', async () => {
      const client = await db.client();
      const [timestamp, name] = ['9999999999999', 'FromTheFuture9999999999999'];
      await client.query('INSERT INTO schema_migration (timestamp, name) VALUES ($1, $2)', [timestamp, name]);
      expect(await runServer(env)).toEqual({ code: 1, output: expect.stringContaining('FromTheFuture') });
      await client.query('DELETE FROM schema_migration WHERE timestamp = $1', [timestamp]);
    });

    it('the port is in use, or settings are wrong, all of them in one message', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const [taken, wrong] = await Promise.all([
        runServer({ ...env, PORT: `${port}` }),
        runServer({ PORT: 'many', GROUP_MAX: '0', HOST: 'not a host' }),
      ]);
      other.close();
      expect(taken).toEqual({
        code: 1,
        output: `Batchwise cannot listen on 127.0.0.1:${port}: the port is in use. Set PORT to another one.\n`,
      });
      expect(wrong.code).toBe(1);
      for (const name of ['PORT', 'GROUP_MAX', 'HOST']) expect(wrong.output).toContain(name);
      expect(wrong.output).not.toMatch(/^ +at /m);
    });
  });
});
