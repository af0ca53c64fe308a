import { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Database } from '../database/database';
import type { BrokerMetrics } from '../metrics/broker-metrics';
import { atOnce, type Broker } from './broker';
import type { BrokerConnection } from './broker-connection';
import { type BrokerMessage, InvalidMessage } from './broker-message';
import { cut, deadEntry, type Entry, type EntryRequest, looked, readEntry } from './command-entry';
import type { Execution } from './execution';
import { inLanes } from './in-lanes';
import { Inbox } from './inbox';
import type { Turn } from './turn';

const stream = 'batchwise.commands';
const deadStream = 'batchwise.commands.dead';
/** Whoever has the turn is the group's one consumer: what a replica left unfinished is the next one's own. */
const [group, consumer] = ['batchwise', 'batchwise'];

/** Entries that are read at once, and milliseconds that a read waits for the first. */
const reading = { count: 32, block: 1_000 };
/** Bytes after which no further one of the unfinished entries is read. */
const enough = 1 << 20;

/**
 * The unfinished entries of the consumer, cut in Redis. An entry may be so large that it never arrives in time: then it is
 * unfinished, and comes this way.
 */
const readUnfinished = `
  local count, fields, bytes, enough = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local entries, size = {}, 0
  for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', count, ARGV[2])) do
    local entry = redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1]
    local values = entry and {}
    for i = 1, entry and math.min(#entry[2], 2 * fields) or 0 do
      values[i] = string.sub(entry[2][i], 1, bytes)
      size = size + #values[i]
    end
    entries[#entries + 1] = { pending[1], values or false }
    if size > enough then break end
  end
  return entries`;
/** Milliseconds after which an entry that was given to somebody else in the group is taken over, and between looks for such. */
const claiming = { idle: 30_000, every: 10_000 };

interface Ended {
  readonly entry: Entry;
  readonly outcome: 'processed' | 'skipped' | 'invalid';
  /** Why it can never succeed. */
  readonly reason?: string | undefined;
  /** By which it is known, where it could be read. */
  readonly id?: string;
}

type Entries = [key: Buffer, fields: Buffer[] | null][];

/** The durable stream of commands. An entry is acknowledged, and removed, when its command was executed or can never be. */
export class CommandStream {
  private readonly logger = new Logger('Broker');
  private readonly connection: BrokerConnection;
  /** Entries that are done with, and not acknowledged yet. */
  private readonly ended: Ended[] = [];

  constructor(
    private readonly broker: Broker,
    private readonly database: Database,
    private readonly kinds: ReadonlyMap<string, BrokerMessage>,
    private readonly execution: Execution,
    private readonly metrics: BrokerMetrics,
    private readonly turn: Turn,
  ) {
    this.connection = broker.connection('commands', createGroup);
  }

  /** Works the stream until it is stopped. @throws Stopping, Fenced, OutOfReach, Overloaded */
  async run(): Promise<never> {
    try {
      let unfinished = true;
      for (let lookAt = 0; ;) {
        if (performance.now() >= lookAt) {
          await this.claim();
          await Inbox.forgetOld(this.database);
          lookAt = performance.now() + claiming.every;
          unfinished = true;
        }
        const entries = await this.turn.unlessOver(() => (unfinished ? this.readUnfinished() : this.readNew()));
        unfinished &&= entries.length > 0;
        await this.handle(entries);
      }
    } finally {
      this.connection.close();
    }
  }

  /** Makes the entries one's own that were given to consumers of other names, and not acknowledged. */
  private async claim(): Promise<void> {
    const { idle } = claiming;
    for (let from = '0-0'; ;) {
      const answer = await this.connection.use((redis) =>
        redis.xautoclaim(stream, group, consumer, idle, from, 'COUNT', reading.count, 'JUSTID'),
      );
      from = String(answer[0]);
      if (from === '0-0') return;
    }
  }

  /** What was given to this consumer before, and is not acknowledged. */
  private async readUnfinished(): Promise<Entry[]> {
    const values = [group, consumer, reading.count, looked.fields, looked.bytes, enough];
    const entries = await this.connection.use((redis) =>
      redis.callBuffer('EVAL', readUnfinished, 1, stream, ...values),
    );
    return (entries as Entries).map(([key, fields]) => ({ key: key.toString(), fields }));
  }

  /** What was given to nobody. */
  private async readNew(): Promise<Entry[]> {
    const { count, block } = reading;
    const reply = (await this.connection.use((redis) =>
      redis.callBuffer('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'BLOCK', block, 'STREAMS', stream, '>'),
    )) as [stream: Buffer, entries: Entries][] | null;
    return (reply?.[0]?.[1] ?? []).map(([key, fields]) => cut({ key: key.toString(), fields }));
  }

  private async handle(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    this.metrics.count('received', stream, entries.length);
    const requests = entries.flatMap((entry) => this.understand(entry));
    const ids = requests.map(({ request }) => request.id);
    const handled = await Inbox.handled(this.database, ids);
    try {
      await inLanes(
        requests,
        ({ request }) => request.sku,
        ({ entry, request }) => this.settle(entry, request, handled),
      );
    } finally {
      await this.acknowledge();
    }
  }

  /** @returns nothing if nothing is to be done */
  private understand(entry: Entry): { entry: Entry; request: EntryRequest }[] {
    try {
      if (entry.fields) return [{ entry, request: readEntry(entry.fields, this.kinds) }];
      this.ended.push({ entry, outcome: 'skipped' });
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.ended.push({ entry, outcome: 'invalid', reason: error.message });
    }
    return [];
  }

  /** @param handled the ids that were dealt with; this one is added before it could be begun a second time */
  private async settle(entry: Entry, { id, command }: EntryRequest, handled: Set<string>): Promise<void> {
    if (handled.has(id)) {
      this.ended.push({ entry, outcome: 'skipped' });
      return;
    }
    handled.add(id);
    this.turn.mayGoOn();
    const reason = await this.execution.execute(command, stream, id, this.turn);
    if (reason === undefined) await Inbox.remember(this.database, [id]);
    this.ended.push({ entry, outcome: reason === undefined ? 'processed' : 'invalid', reason, id });
  }

  /** The dead are kept in the step that acknowledges them, so that they are neither lost nor kept twice, and remembered after it. */
  private async acknowledge(): Promise<void> {
    const ended = this.ended.splice(0);
    if (ended.length === 0) return;
    const keys = ended.map(({ entry }) => entry.key);
    const limit = ['MAXLEN', '~', this.broker.streamLength];
    const dead = ended.flatMap(({ entry, reason }) =>
      reason === undefined ? [] : [['xadd', deadStream, ...limit, '*', ...deadEntry(entry, reason)]],
    );
    await this.connection.use((redis) =>
      atOnce(redis, [...dead, ['xack', stream, group, ...keys], ['xdel', stream, ...keys]]),
    );
    await Inbox.remember(
      this.database,
      ended.flatMap(({ id, reason }) => (id !== undefined && reason !== undefined ? [id] : [])),
    );
    for (const { entry, outcome, reason } of ended) {
      this.metrics.count(outcome, stream);
      if (reason !== undefined) this.logger.warn(`entry ${entry.key} of ${stream} can never succeed: ${reason}`);
    }
  }
}

/** A Redis that has lost the group gives everything that is in the stream again. */
async function createGroup(redis: Redis): Promise<void> {
  await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM').catch((error: unknown) => {
    if (!String(error).includes('BUSYGROUP')) throw error;
  });
}
