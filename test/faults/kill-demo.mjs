// Kills `batchwise demo` at random, with its database in every second round, starts the service as one would after a power
// cut - killed once while it delivers - and has everything verified. Needs the built application. Usage: kill-demo [--rounds 10] [--seed N]
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fewest, Installation, patience, printed, Random } from './support.mjs';

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } });
const rounds = Number(values.rounds ?? 10);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const random = new Random(seed);
const installation = new Installation();

/** Starts a day, and kills it somewhere in the middle. @returns whether it was killed before it had ended by itself */
async function killDemo(round) {
  const demo = installation.start(
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
  if (round % 2 === 1) process.kill(installation.database.pid, 'SIGKILL');
  demo.kill('SIGKILL');
  const [, signal] = await ended;
  return signal === 'SIGKILL';
}

/** The service is killed while it delivers, or about to. */
async function killService() {
  const service = installation.start('serve');
  const ended = once(service, 'exit');
  await printed(service, /is ready/);
  await pause(random.whole(0, 300));
  service.kill('SIGKILL');
  await ended;
}

/** The service starts, works off what is in the log, and stops. @throws if it does not get through */
async function restart() {
  const service = installation.start('serve');
  const ended = once(service, 'exit');
  await printed(service, /is ready/);
  for (const deadline = Date.now() + patience; ; await pause(200)) {
    const [header, ...rows] = (await installation.run('subscribers')).trim().split('\n');
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
  console.log(`seed ${seed}, ${rounds} rounds, ${installation.folder}`);
  let killed = 0;
  for (let round = 1; round <= rounds; round += 1) {
    if (await killDemo(round)) killed += 1;
    await killService();
    await restart();
    const invariants = await installation.verify();
    console.log(`round ${round}: killed${round % 2 === 1 ? ' with its database' : ''}, ${invariants} invariants hold`);
  }
  const events = Number(/^events +(\d+)/m.exec(await installation.run('demo', '--orders', '50', '--skus', '20'))?.[1]);
  const [, , position] = (await installation.run('subscribers')).trim().split('\n')[1].split(/ {2,}/);
  console.log(`${killed} of ${rounds} killed in the middle, ${position} events before the last demo, ${events} in it`);
  if (killed < rounds) throw new Error('a demo ended before it was killed: the run says nothing');
  if (Number(position) < fewest) throw new Error('too little was done before the kills: the run says nothing');
}

void main().then(
  () => installation.end(),
  (error) => installation.end(error),
);
