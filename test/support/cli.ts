import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const cli = join(__dirname, '../../dist/cli.js');
/** Milliseconds that no command of a test takes, unless it hangs. */
const patience = 25_000;

const running = new Set<ChildProcess>();

export interface CliRun {
  readonly code: number | null;
  /** What it ended by, if not by itself. */
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** The built command line in a process of its own. */
export interface RunningCli {
  /** Everything it printed on standard output so far. */
  out(): string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<CliRun>;
}

export function startCli(env: Record<string, string>, ...args: string[]): RunningCli {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience,
    killSignal: 'SIGKILL',
  });
  running.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const ended = new Promise<CliRun>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, out, err });
    });
  });
  return { out: () => out, kill: (signal) => child.kill(signal), ended };
}

/** Runs `batchwise …` to its end. */
export const runCli = (env: Record<string, string>, ...args: string[]): Promise<CliRun> => startCli(env, ...args).ended;

/** Ends whatever a failed test has left running. */
export function endAllClis(): void {
  for (const child of running) child.kill('SIGKILL');
}
