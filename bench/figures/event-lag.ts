import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { Client } from 'pg';
import { isRedisInstalled, RedisServer } from '../../test/support/redis';
import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** After the load every event must have been told within this time. */
const emptyWithin = 5_000;

/** Somebody who is told of the events. */
interface Reader {
  /** What the service must be told for it. */
  readonly settings: Record<string, string>;
  /** How many events were committed and are not told yet, or at least whether there are any. */
  missing(): Promise<number>;
  /** From the commit of an event until it was told, in milliseconds: the 99th percentile of those behind a place in the log. */
  lag(after: string): Promise<number>;
  close(): Promise<void>;
}

/** A projection. The server keeps the time of each commit. */
const readModel = (client: Client): Promise<Reader> =>
  Promise.resolve({
    settings: { BENCH_LAG: 'true' },
    async missing() {
      const unseen = `
        SELECT count(*)::int AS count FROM platform.event AS e
        WHERE type = 'allocation.allocated.v1'
          AND NOT EXISTS (SELECT FROM bench.seen AS s WHERE s.position = e.position)`;
      return (await client.query<{ count: number }>(unseen)).rows[0]!.count;
    },
    async lag(after) {
      const lag = `
        SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY seen - committed) AS p99
        FROM (SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000 AS seen,
                     extract(epoch FROM pg_xact_commit_timestamp(e.xmin)) * 1000 AS committed
              FROM bench.seen AS s JOIN platform.event AS e USING (position) WHERE s.position > $1) AS times`;
      return (await client.query<{ p99: number }>(lag, [after])).rows[0]!.p99;
    },
    close: () => Promise.resolve(),
  });

const stream = 'batchwise.events';

/** The stream in a Redis of the benchmark's own, whose ids begin with the millisecond in which an entry came, rounded down. */
async function redisStream(client: Client): Promise<Reader> {
  const server = await RedisServer.start();
  const redis = server.client();
  let last = '0';
  return {
    settings: { REDIS_URL: server.url, REDIS_STREAM_MAXLEN: '10000000' },
    async missing() {
      const { rows } = await client.query<{ id: string }>(
        'SELECT id FROM platform.event ORDER BY transaction_id DESC, position DESC LIMIT 1',
      );
      const [entry] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1);
      return entry?.[1][1] === rows[0]!.id ? 0 : 1;
    },
    async lag(after) {
      const told = await entriesAfter(redis, last);
      last = told.at(-1)?.[0] ?? last;
      const lag = `
        SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY told - committed) AS p99
        FROM (SELECT t.at + 1 AS told, extract(epoch FROM pg_xact_commit_timestamp(e.xmin)) * 1000 AS committed
              FROM unnest($2::text[], $3::bigint[], $4::float8[]) AS t (subject, version, at)
              JOIN platform.event AS e ON (e.stream, e.version) = ('product:' || t.subject, t.version)
              WHERE e.position > $1) AS times`;
      const [subjects, versions] = [5, 7].map((place) => told.map(([, fields]) => fields[place]));
      const at = told.map(([id]) => Number(id.split('-')[0]));
      return (await client.query<{ p99: number }>(lag, [after, subjects, versions, at])).rows[0]!.p99;
    },
    close: () => server.end(),
  };
}

async function entriesAfter(redis: Redis, id: string): Promise<[id: string, fields: string[]][]> {
  const entries: [string, string[]][] = [];
  for (let from = id; ; from = entries.at(-1)![0]) {
    const some = await redis.xrange(stream, `(${from}`, '+', 'COUNT', 10_000);
    if (some.length === 0) return entries;
    entries.push(...some);
  }
}

const eventLag = (
  about: Pick<Figure, 'id' | 'what' | 'lacks'>,
  replicas: number,
  open: (client: Client) => Promise<Reader>,
): Figure => ({
  ...about,
  target: 250,
  better: 'lower',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const client = new Client({ connectionString: database });
    await client.connect();
    const reader = await open(client);
    const start = () => startServer('measured', database, { ...reader.settings, MIGRATE_ON_START: 'true' });
    try {
      const lags = await withServers(Array.from({ length: replicas }, start), async (servers) => {
        const urls = servers.map(({ url }) => `${url}/v1/allocations`);
        const run = (seconds: number) => load({ urls, connections: 256, seconds, skus: hot.draws() });
        ledger.add(await run(1));
        const lags: number[] = [];
        for (let count = 0; count < (context.quick ? 1 : 5); count += 1) {
          await untilTold(reader);
          const { rows } = await client.query<{ last: string }>('SELECT max(position) AS last FROM platform.event');
          const report = ledger.add(await run(context.quick ? 1 : 3));
          const emptyAfter = await untilTold(reader);
          const p99 = await reader.lag(rows[0]!.last);
          lags.push(p99);
          context.note(`${p99.toFixed(1)} ms at ${Math.round(report.perSecond)} /s, 0 after ${emptyAfter} ms`);
        }
        return lags;
      });
      await ledger.audit(database);
      return lags;
    } finally {
      await reader.close();
      await client.end();
    }
  },
});

const underLoad = 'p99, one hot SKU, 256 connections, replicas:';
const lacks = isRedisInstalled() ? undefined : 'redis-server is not installed';

/** How long others are behind the log, under the load of P1. */
export const eventLags = [1, 2].flatMap((replicas) => [
  eventLag({ id: `P8-${replicas}`, what: `lag of a projection in ms, ${underLoad} ${replicas}` }, replicas, readModel),
  eventLag(
    { id: `P8-redis-${replicas}`, what: `lag of Redis in ms, ${underLoad} ${replicas}`, lacks },
    replicas,
    redisStream,
  ),
]);

/** @returns the milliseconds until every event was told */
async function untilTold(reader: Reader): Promise<number> {
  const start = performance.now();
  for (;;) {
    const missing = await reader.missing();
    const waited = Math.round(performance.now() - start);
    if (missing === 0) return waited;
    if (waited > emptyWithin) throw new Error(`${missing} events are not told ${waited} ms after the load`);
    await pause(20);
  }
}
