import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What can be started: the service, the service with the benchmark's own module, and an application that does nothing. */
const programs = { service: '../../src/main.js', measured: '../server.js', minimal: '../minimal.js' };

export interface Server {
  readonly url: string;
  /** Milliseconds from the start of the process to the line that says it is ready. */
  readonly startedIn: number;
  /** Megabytes of memory that the process holds now. */
  memory(): number;
  stop(): Promise<void>;
}

/** Starts a program as a process of its own, in production mode, on a free port of the loopback interface. */
export async function startServer(
  program: keyof typeof programs,
  databaseUrl: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const flags = process.env.BENCH_NODE_OPTIONS?.split(' ') ?? [];
  const start = performance.now();
  const child = spawn(process.execPath, [...flags, join(__dirname, programs[program])], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
      PORT: '0',
      DRAIN_DELAY_MS: '0',
      DATABASE_URL: databaseUrl,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const url = await readyLine(child);
  const startedIn = performance.now() - start;
  return {
    url,
    startedIn,
    memory: () => memoryOf(child.pid!),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
}

/** Runs `use` with servers that are stopped whatever becomes of it. */
export async function withServers<T>(
  start: readonly Promise<Server>[],
  use: (servers: Server[]) => Promise<T>,
): Promise<T> {
  const started = await Promise.allSettled(start);
  const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  try {
    for (const one of started) if (one.status === 'rejected') throw one.reason;
    return await use(servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

function readyLine(child: ChildProcess): Promise<string> {
  let said = '';
  return new Promise((resolve, reject) => {
    const hear = (text: Buffer): void => {
      said = (said + text.toString()).slice(-4000);
      const url = / is ready: (\S+)/.exec(said)?.[1];
      if (url) resolve(url);
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the server did not start: ${said}`)));
  });
}

/** Megabytes of memory that a process holds now; NaN if it has ended. */
export function memoryOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}
