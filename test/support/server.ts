import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const main = join(__dirname, '../../dist/main.js');

/** The built service in a process of its own. */
export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  /** Everything it printed so far. */
  output(): string;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts the service on a free port and waits for its ready line. @throws with its output if it ends before */
export async function startServer(env: Record<string, string>): Promise<RunningServer> {
  const { child, output } = run(env);
  const ready = /ready: (http:\/\/127\.0\.0\.1:\d+)/;
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout!.on('data', () => {
      const match = ready.exec(output());
      if (match) resolve(match[1]!);
    });
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}: ${output()}`)));
  });
  return {
    url,
    pid: child.pid!,
    output,
    async end(signal) {
      const ended = once(child, 'exit');
      child.kill(signal);
      const [code, by] = (await ended) as [number | null, NodeJS.Signals | null];
      return { code, signal: by };
    },
  };
}

/** Runs the service where it is expected to refuse. */
export async function runServer(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const { child, output } = run(env);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: output() };
}

const children = new Set<ChildProcess>();

/** Ends whatever a failed test has left running. */
export function endAllServers(): void {
  for (const child of children) child.kill('SIGKILL');
}

function run(env: Record<string, string>): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', LOG_LEVEL: 'warn', DRAIN_DELAY_MS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  return { child, output: () => text };
}
