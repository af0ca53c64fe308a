// Kills, empties and freezes Redis and kills the service, at random and under load, and compares what clients were told with the
// database and with the stream of events. Needs the built application and a redis-server. Usage: broker [--seconds 60] [--seed N]
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { fewest, Installation, patience, printed, Random } from './support.mjs';

const clients = 16;
const commands = 'batchwise.commands';
const skus = Array.from({ length: 20 }, (_, n) => `SKU-${n}`);
/**
 * Milliseconds: until an answer, whatever happens; until all is published once everything is well again; and of so many
 * requests one after another then, on average, on a machine that others use too.
 */
const limits = { answer: 10_000, drained: 30_000, requests: 50, request: 250 };

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? Date.now() % 1_000_000);

/** A Redis that forgets everything when it is killed. */
class Broker {
  static async onFreePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return new Broker(port);
  }

  constructor(port) {
    this.port = port;
    this.client = new Redis(port, '127.0.0.1', { lazyConnect: true, commandTimeout: 1_000, maxRetriesPerRequest: 0 });
    this.client.on('error', () => undefined);
  }

  async start() {
    const settings = ['--port', this.port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.server = spawn('redis-server', settings.map(String), { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    await printed(this.server, /Ready to accept connections/);
  }

  async kill() {
    const ended = once(this.server, 'exit');
    this.server.kill('SIGKILL');
    await ended;
  }

  /** Commands that are tried until they are answered. */
  async surely(work) {
    for (const deadline = Date.now() + patience; ; await pause(50)) {
      try {
        return await work(this.client);
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }
}

/** The service, which comes back when it was killed. */
class Service {
  kills = 0;

  constructor(installation) {
    this.installation = installation;
    this.up = this.#start();
  }

  async #start() {
    this.child = this.installation.start('serve');
    [, this.url] = await printed(this.child, /is ready: (\S+)/);
  }

  async killAndRestart() {
    await this.up;
    this.kills += 1;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    this.up = ended.then(() => this.#start());
    await this.up;
  }

  /**
   * Sends a request when the service is up.
   * @returns its status and what it says; undefined: the service was killed meanwhile
   * @throws if there is no answer for another reason
   */
  async ask(path, method = 'GET', body = undefined) {
    await this.up;
    const { kills } = this;
    try {
      const answer = await fetch(this.url + path, {
        method,
        signal: AbortSignal.timeout(limits.answer),
        ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      return { status: answer.status, said: await answer.json() };
    } catch (error) {
      if (this.kills === kills) throw error;
      return undefined;
    }
  }
}

/** What is there before anything goes wrong. */
async function stockUp(service) {
  const stock = skus.map((sku, n) => ({ ref: `batch-${sku}`, sku, qty: n === 0 ? 5 : 1_000_000 }));
  for (const batch of [...stock, { ref: 'counted', sku: 'COUNTED', qty: 0 }])
    assert.equal((await service.ask('/v1/batches', 'POST', batch)).status, 201);
}

/** Allocates and releases, and keeps a log of its own of what it was told. */
class Load {
  counts = { sent: 0, ok: 0, refused: 0, unknown: 0 };
  /** By order, of one line each: what the database must say of it; undefined: not known. */
  log = new Map();
  over = false;

  constructor(service) {
    this.service = service;
  }

  get answered() {
    return this.counts.ok + this.counts.refused;
  }

  async client(name) {
    const random = new Random(seed, name + 1);
    const promised = [];
    for (let n = 0; !this.over; n += 1) {
      if (promised.length > 0 && random.chance(0.2)) {
        await this.release(promised.splice(random.whole(0, promised.length - 1), 1)[0], random);
        continue;
      }
      const orderId = `order-${name}-${n}`;
      if (await this.allocate({ orderId, sku: random.oneOf(skus), qty: random.whole(1, 3) }, random))
        promised.push(orderId);
    }
  }

  /** @returns whether it is known to be promised */
  async allocate(line, random) {
    this.log.set(line.orderId, undefined);
    const answer = await this.send('/v1/allocations', 'POST', line, random);
    if (answer === undefined) return false;
    const { batchRef } = answer.said;
    this.log.set(line.orderId, answer.status === 409 ? 'refused' : `promised from ${batchRef}`);
    return answer.status !== 409;
  }

  async release(orderId, random) {
    this.log.set(orderId, undefined);
    if (await this.send(`/v1/orders/${orderId}`, 'DELETE', undefined, random)) this.log.set(orderId, 'not there');
  }

  /** Sends a request, and often once more if it is unknown what became of it. @returns undefined if it stays so */
  async send(path, method, body, random) {
    this.counts.sent += 1;
    const answer = await this.service.ask(path, method, body);
    if (answer === undefined) {
      this.counts.unknown += 1;
      return random.chance(0.7) ? this.send(path, method, body, random) : undefined;
    }
    assert.ok([200, 201, 409].includes(answer.status), `${answer.status}: ${JSON.stringify(answer.said)}`);
    this.counts[answer.status === 409 ? 'refused' : 'ok'] += 1;
    return answer;
  }
}

/** Counts a batch of no units up by one each time, through Redis, and sends each message until it sees the effect: with an old one behind it. */
class Warehouse {
  counted = 0;
  sent = 0;
  over = false;

  constructor(service, broker) {
    this.service = service;
    this.broker = broker;
  }

  async work() {
    while (!this.over) {
      const next = this.counted + 1;
      await this.broker.surely(async (redis) => {
        await this.message(redis, next);
        if (this.counted > 0) await this.message(redis, this.counted);
        await redis.xadd(commands, '*', 'no', 'sense');
      });
      if (await this.sees(next)) this.counted = next;
    }
  }

  message(redis, qty) {
    this.sent += 1;
    const data = JSON.stringify({ batchref: 'counted', qty });
    return redis.xadd(commands, '*', 'id', `count-${qty}`, 'type', 'change_batch_quantity', 'data', data);
  }

  async sees(qty) {
    for (const deadline = Date.now() + 2_000; Date.now() < deadline; await pause(20)) {
      const answer = await this.service.ask('/v1/batches/counted');
      if (answer?.said.purchased === qty) return true;
    }
    return false;
  }
}

/** Injects faults one after another: each kind once, and then at random. */
class Nemesis {
  fired = {};

  constructor(service, broker, random) {
    this.service = service;
    this.broker = broker;
    this.random = random;
  }

  faults = {
    'Redis killed': () => this.withoutRedis(() => undefined),
    'Redis emptied': () => this.broker.surely((redis) => redis.flushall()),
    'Redis frozen': () => this.withFrozenRedis(() => undefined),
    'service killed': () => this.service.killAndRestart(),
    'service and Redis killed': () => this.withoutRedis(() => this.service.killAndRestart()),
    'service killed, Redis frozen': () => this.withFrozenRedis(() => this.service.killAndRestart()),
  };

  /** @param isOver asked when each kind has been fired */
  async work(isOver) {
    const kinds = Object.keys(this.faults);
    for (const left = [...kinds]; left.length > 0 || !isOver();) {
      await pause(this.random.whole(500, 2_000));
      const [fault] =
        left.length > 0 ? left.splice(this.random.whole(0, left.length - 1), 1) : [this.random.oneOf(kinds)];
      await this.faults[fault]();
      this.fired[fault] = (this.fired[fault] ?? 0) + 1;
    }
  }

  async withoutRedis(meanwhile) {
    await this.broker.kill();
    await this.outage(meanwhile);
    await this.broker.start();
  }

  async withFrozenRedis(meanwhile) {
    this.broker.server.kill('SIGSTOP');
    await this.outage(meanwhile);
    this.broker.server.kill('SIGCONT');
  }

  /** The service is ready all the time, and says what it lacks. */
  async outage(meanwhile) {
    await meanwhile();
    const { status, said } = await this.service.ask('/health/ready');
    assert.deepEqual([status, said.checks?.broker.status], [200, 'degraded']);
    await pause(this.random.whole(0, 5_000));
  }
}

/** Waits until every subscriber has had everything, and what Redis had lost is there again. @throws if that takes too long */
async function drained(service, broker, database) {
  for (const deadline = Date.now() + limits.drained; ; await pause(100)) {
    const { said } = await service.ask('/v1/admin/subscribers');
    const { rows } = await database.query('SELECT id FROM platform.event');
    const published = new Set((await entriesOf(broker)).map(({ id }) => id));
    const missing = rows.filter(({ id }) => !published.has(id)).length;
    if (missing === 0 && said.subscribers.every(({ lagEvents, parked }) => lagEvents + parked === 0)) return;
    if (Date.now() > deadline) throw new Error(`${missing} events are missing in the stream: ${JSON.stringify(said)}`);
  }
}

/** The stream of events, each as an object of its fields. */
async function entriesOf(broker) {
  const entries = await broker.surely((redis) => redis.xrange('batchwise.events', '-', '+'));
  return entries.map(([, [, id, , type, , subject, , version, , data]]) => ({ id, type, subject, version, data }));
}

/** The stream has the events as the log has them, and each subject's in their order, where they come first. */
async function compareStream(broker, database) {
  const { rows } = await database.query('SELECT id, type, stream, version::int, data FROM platform.event');
  const log = new Map(rows.map(({ id, ...event }) => [id, event]));
  const versions = new Map();
  const entries = await entriesOf(broker);
  for (const { id, type, subject, version, data } of entries) {
    const event = { type, stream: `product:${subject}`, version: Number(version), data: JSON.parse(data) };
    assert.deepEqual(event, log.get(id));
    const last = versions.get(subject) ?? 0;
    assert.ok(event.version <= last + 1, `${subject} jumps from ${last} to ${version}`);
    versions.set(subject, Math.max(last, event.version));
  }
  return { events: rows.length, entries: entries.length };
}

/** The database says of each line what its client was told, and knows no other. */
async function compareLines(load, database) {
  const { rows } = await database.query('SELECT order_id, status, batch_ref FROM allocation.order_line');
  const stored = new Map(
    rows.map(({ order_id, status, batch_ref }) => [order_id, batch_ref ? `${status} from ${batch_ref}` : status]),
  );
  for (const [orderId, told] of load.log)
    if (told !== undefined) assert.equal(stored.get(orderId) ?? 'not there', told, orderId);
  for (const orderId of stored.keys()) assert.ok(load.log.has(orderId), `nobody has ordered ${orderId}`);
}

/** Each message took effect once, and in the order in which they were sent. */
async function compareCounts(warehouse, database) {
  const { rows } = await database.query(
    `SELECT (data->>'qty')::int AS qty FROM platform.event WHERE stream = 'product:COUNTED' ORDER BY version`,
  );
  assert.deepEqual(
    rows.map(({ qty }) => qty),
    Array.from({ length: warehouse.counted + 1 }, (_, n) => n),
  );
}

/** Nothing of what was keeps it busy. */
async function isFast(service) {
  const began = performance.now();
  for (let n = 0; n < limits.requests; n += 1) {
    const line = { orderId: `after-${n}`, sku: skus.at(-1), qty: 1 };
    assert.equal((await service.ask('/v1/allocations', 'POST', line)).status, 201);
  }
  const each = (performance.now() - began) / limits.requests;
  assert.ok(each < limits.request, `an allocation takes ${Math.round(each)} ms`);
}

const told = (counts) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

async function main(installation, broker) {
  console.log(`seed ${seed}, ${seconds} s, ${installation.folder}`);
  await broker.start();
  const service = new Service(installation);
  const load = new Load(service);
  const warehouse = new Warehouse(service, broker);
  const nemesis = new Nemesis(service, broker, new Random(seed));
  await stockUp(service);

  const end = Date.now() + seconds * 1_000;
  /** A slow machine takes longer. */
  const isOver = () => Date.now() > end && (load.answered >= fewest || Date.now() > end + patience);
  const working = Promise.all([warehouse.work(), ...Array.from({ length: clients }, (_, name) => load.client(name))]);
  await Promise.race([nemesis.work(isOver), working]);
  load.over = warehouse.over = true;
  await working;

  const database = new pg.Client(`postgres://batchwise@127.0.0.1:${installation.database.port}/batchwise`);
  await database.connect();
  await drained(service, broker, database);
  await compareLines(load, database);
  await compareCounts(warehouse, database);
  const { events, entries } = await compareStream(broker, database);
  await database.end();
  const invariants = await installation.verify();
  await isFast(service);

  console.log(`${told(load.counts)}; ${warehouse.sent} messages for ${warehouse.counted} counts`);
  console.log(`faults fired: ${told(nemesis.fired)}`);
  console.log(`${events} events in ${entries} entries, ${invariants} invariants hold`);
  if (load.answered < fewest || warehouse.counted === 0) throw new Error('too little was done: the run says nothing');

  const ended = once(service.child, 'exit');
  service.child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null], 'the service does not stop in order');
}

if (spawnSync('redis-server', ['--version']).error) {
  console.log('There is no redis-server on the path: what happens to Redis is not tried.');
} else {
  const broker = await Broker.onFreePort();
  const installation = new Installation({ REDIS_URL: `redis://127.0.0.1:${broker.port}` });
  const error = await main(installation, broker).then(
    () => undefined,
    (reason) => reason,
  );
  broker.client.disconnect();
  broker.server?.kill('SIGKILL');
  installation.end(error);
  process.exit();
}
