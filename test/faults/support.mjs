// What the fault runs have in common: the built application, with data of its own, and how a run ends.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const { Random } = createRequire(import.meta.url)('../../dist/allocation/cli/random.js');

/** Milliseconds that nothing here takes, unless it hangs. */
export const patience = 120_000;
/** How much must have been done, or the run says nothing. */
export const fewest = 1_000;

const cli = join(import.meta.dirname, '../../dist/cli.js');

/** The built application with a data folder of its own, and its processes. */
export class Installation {
  #children = new Set();
  folder = mkdtempSync(join(tmpdir(), 'batchwise-faults-'));

  /** @param settings environment variables */
  constructor(settings = {}) {
    chmodSync(this.folder, 0o755);
    this.env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      BATCHWISE_DATA_DIR: join(this.folder, 'data'),
      PORT: '0',
      DRAIN_DELAY_MS: '0',
      LOG_LEVEL: 'warn',
      ...settings,
    };
  }

  /** Starts a command, and goes on. */
  start(...args) {
    const child = spawn(process.execPath, [cli, ...args], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Runs a command. @returns what it prints. @throws if it fails */
  async run(...args) {
    const options = { env: this.env, timeout: patience };
    return (await promisify(execFile)(process.execPath, [cli, ...args], options)).stdout;
  }

  /** Checks what is stored. @returns how many invariants hold. @throws if one is broken */
  async verify() {
    return (await this.run('verify', '--all')).trim().split('\n').length;
  }

  /** The process and the port of the database that runs. */
  get database() {
    const lines = readFileSync(join(this.env.BATCHWISE_DATA_DIR, 'cluster/postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), port: Number(lines[3]) };
  }

  /** Ends a run: the data is kept if it failed. */
  end(error) {
    for (const child of this.#children) child.kill('SIGKILL');
    if (error === undefined) {
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 500 });
      console.log('everything holds');
    } else {
      console.error(error, `\nThe data is in ${this.folder}.`);
      process.exitCode = 1;
    }
  }
}

/** Waits until a child has printed something. @returns the match. @throws if it ends without, or takes too long */
export function printed(child, pattern) {
  let text = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing like ${pattern.source} in ${text}`)), patience);
    const settle = (how) => (value) => {
      clearTimeout(timer);
      how(value);
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk.toString();
        const match = pattern.exec(text);
        if (match) settle(resolve)(match);
      });
    }
    child.once('error', settle(reject));
    child.once('exit', (code) => settle(reject)(new Error(`it ended with ${code}: ${text}`)));
  });
}
