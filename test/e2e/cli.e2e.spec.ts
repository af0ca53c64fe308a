import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { endAllClis, runCli, startCli } from '../support/cli';
import { freshDatabase, type TestDatabase } from '../support/database';
import { endAllServers, startServer } from '../support/server';

const commands = [
  'serve',
  'migrate',
  'rebuild',
  'subscribers',
  'dead-letters',
  'keys',
  'verify',
  'allocate-from-csv',
  'import',
  'demo',
];

afterAll(() => {
  endAllClis();
  endAllServers();
});

it('batchwise explains itself, and ends with 2 where it was not understood, with 1 where it cannot go on', async () => {
  // Help needs no database: there is none here.
  const nowhere = { DATABASE_URL: 'postgres://127.0.0.1:1/none' };
  const [help, version, unknown, gone] = await Promise.all([
    runCli(nowhere, '--help'),
    runCli(nowhere, '--version'),
    runCli(nowhere, 'frobnicate'),
    runCli(nowhere, 'verify'),
  ]);
  expect(help).toMatchObject({ code: 0, err: '' });
  for (const command of commands) expect(help.out).toMatch(new RegExp(`^  ${command} +[A-Z].*\\.$`, 'm'));
  expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect(unknown).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(/^batchwise: there is no .*\nUsage: /),
  });
  expect(gone).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^batchwise verify cannot go on: .*\n$/),
  });
});

describe('batchwise, on a database of its owner,', () => {
  let db: TestDatabase;
  let client: Client;
  let env: Record<string, string>;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true' };
  });
  afterAll(() => db.drop());

  it('migrates a database that is empty, and refuses to work on it before', async () => {
    const name = `${new URL(db.url).pathname.slice(1)}_empty`;
    const empty = { ...env, DATABASE_URL: `${process.env.TEST_DATABASE_SERVER}${name}` };
    await client.query(`CREATE DATABASE ${name}`);
    try {
      const refused = await runCli(empty, 'verify');
      expect(refused).toMatchObject({ code: 1, out: '', err: expect.stringContaining('the database lacks') });
      const first = await runCli(empty, 'migrate');
      expect(first).toMatchObject({ code: 0, out: expect.stringContaining('Products1763800000001\n') });
      const [again, verified] = await Promise.all([runCli(empty, 'migrate'), runCli(empty, 'verify')]);
      expect(again).toMatchObject({ code: 0, out: 'The database is up to date.\n' });
      expect(verified.code).toBe(0);
    } finally {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  it('keeps what a day that is interrupted, or killed, has done', async () => {
    const [interrupted, killed] = ['c', 'd'].map((prefix) =>
      startCli(env, 'demo', '--orders', '50000', '--skus', '30', '--prefix', prefix),
    );
    const promises = async (prefix: string): Promise<number> => {
      const text = `SELECT count(*)::int AS n FROM allocation.order_line WHERE order_id LIKE $1`;
      return (await client.query<{ n: number }>(text, [`${prefix}-%`])).rows[0]!.n;
    };
    while ((await promises('c')) < 50 || (await promises('d')) < 50) await new Promise((go) => setTimeout(go, 50));
    interrupted!.kill('SIGINT');
    killed!.kill('SIGKILL');
    expect(await interrupted!.ended).toMatchObject({
      code: 130,
      out: expect.stringMatching(/^orders +[1-9]/),
      err: expect.stringContaining('Interrupted'),
    });
    expect(await killed!.ended).toMatchObject({ signal: 'SIGKILL' });
    expect((await runCli(env, 'verify')).code).toBe(0);
  });
});

describe('batchwise, on the embedded database,', () => {
  const folder = mkdtempSync(join(tmpdir(), 'batchwise-cli-'));
  beforeAll(() => chmodSync(folder, 0o755));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('works beside a server that runs, and serves', async () => {
    const env = { BATCHWISE_DATA_DIR: join(folder, 'data') };
    const server = await startServer(env);
    const serving = startCli({ ...env, PORT: '0', DRAIN_DELAY_MS: '0', LOG_LEVEL: 'warn' }, 'serve');
    const [demo, verified] = await Promise.all([
      runCli(env, 'demo', '--orders', '20', '--skus', '10', '--prefix', 'x'),
      runCli(env, 'verify'),
    ]);
    expect([demo.code, verified.code]).toEqual([0, 0]);
    expect((await fetch(`${server.url}/v1/batches/x-b1`)).status).toBe(200);
    while (!serving.out().includes('Batchwise is ready: ')) await new Promise((go) => setTimeout(go, 20));
    await server.end('SIGTERM');
    const [, url] = /ready: (\S+)/.exec(serving.out())!;
    expect((await fetch(`${url}/v1/batches/x-b1`)).status).toBe(200);
    serving.kill('SIGTERM');
    expect(await serving.ended).toMatchObject({ code: 0, signal: null, err: '' });
  }, 60_000);
});
