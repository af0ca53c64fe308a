// Kills `batchwise demo` at random, with its database in every second round, starts the service as one would after a power
// cut - killed once while it delivers - and has everything verified. Needs the built application. Usage: kill-demo [--rounds 10] [--seed N]
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { createRequire } from 'node:module';

const { Random } = createRequire(import.meta.url)('../../dist/allocation/cli/random.js');
const cli = join(import.meta.dirname, '../../dist/cli.js');
/** Milliseconds that nothing here takes, unless it hangs. */
const patience = 120_000;
/** How far the log must have come, or the run says nothing. */
const fewest = 1_000;

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } });
const rounds = Number(values.rounds ?? 10);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const random = new Random(seed);
const folder = mkdtempSync(join(tmpdir(), 'batchwise-faults-'));
chmodSync(folder, 0o755);
const env = {
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  BATCHWISE_DATA_DIR: join(folder, 'data'),
  PORT: '0',
  DRAIN_DELAY_MS: '0',
  LOG_LEVEL: 'warn',
};
const children = new Set();

function start(...args) {
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Waits until a child has printed something. @throws if it ends without, or takes too long */
async function printed(child, pattern) {
  let text = '';
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing like ${pattern.source} in ${text}`)), patience);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk.toString();
        if (!pattern.test(text)) return;
        clearTimeout(timer);
        resolve();
      });
    }
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${text}`)));
  });
}

const batchwise = async (...args) =>
  (await promisify(execFile)(process.execPath, [cli, ...args], { env, timeout: patience })).stdout;

/** Starts a day, and kills it somewhere in the middle. @returns whether it was killed before it had ended by itself */
async function killDemo(round) {
  const demo = start(
    'demo',
    '--orders',
    '20000',
    '--skus',
    '300',
    '--seed',
    String(seed + round),
    '--prefix',
    `r${round}`,
  );
  const ended = once(demo, 'exit');
  await printed(demo, /A day with/);
  await pause(random.whole(200, 4_000));
  const database = Number(readFileSync(join(env.BATCHWISE_DATA_DIR, 'cluster/postmaster.pid'), 'utf8').split('\n')[0]);
  if (round % 2 === 1) process.kill(database, 'SIGKILL');
  demo.kill('SIGKILL');
  const [, signal] = await ended;
  return signal === 'SIGKILL';
}

/** The service is killed while it delivers, or about to. */
async function killService() {
  const service = start('serve');
  const ended = once(service, 'exit');
  await printed(service, /is ready/);
  await pause(random.whole(0, 300));
  service.kill('SIGKILL');
  await ended;
}

/** The service starts, works off what is in the log, and stops. @throws if it does not get through */
async function restart() {
  const service = start('serve');
  const ended = once(service, 'exit');
  await printed(service, /is ready/);
  for (const deadline = Date.now() + patience; ; await pause(200)) {
    const [header, ...rows] = (await batchwise('subscribers')).trim().split('\n');
    const columns = header.split(/ {2,}/);
    const none = (name) => rows.every((row) => row.split(/ {2,}/)[columns.indexOf(name)] === '0');
    if (none('behind') && none('parked')) {
      if (!none('dead')) throw new Error('there are dead letters');
      break;
    }
    if (Date.now() > deadline) throw new Error('the subscribers do not catch up');
  }
  service.kill('SIGTERM');
  const [code] = await ended;
  if (code !== 0) throw new Error(`the service ended with ${code}`);
}

async function main() {
  console.log(`seed ${seed}, ${rounds} rounds, ${folder}`);
  let killed = 0;
  for (let round = 1; round <= rounds; round += 1) {
    if (await killDemo(round)) killed += 1;
    await killService();
    await restart();
    const verdicts = (await batchwise('verify', '--all')).trim().split('\n');
    console.log(
      `round ${round}: killed${round % 2 === 1 ? ' with its database' : ''}, ${verdicts.length} invariants hold`,
    );
  }
  const events = Number(/^events +(\d+)/m.exec(await batchwise('demo', '--orders', '50', '--skus', '20'))?.[1]);
  const [, , position] = (await batchwise('subscribers')).trim().split('\n')[1].split(/ {2,}/);
  console.log(`${killed} of ${rounds} killed in the middle, ${position} events before the last demo, ${events} in it`);
  if (killed < rounds) throw new Error('a demo ended before it was killed: the run says nothing');
  if (Number(position) < fewest) throw new Error('too little was done before the kills: the run says nothing');
}

void main().then(
  () => {
    rmSync(folder, { recursive: true, force: true });
    console.log('everything holds');
  },
  (error) => {
    for (const child of children) child.kill('SIGKILL');
    console.error(error, `\nThe data is in ${folder}.`);
    process.exitCode = 1;
  },
);
