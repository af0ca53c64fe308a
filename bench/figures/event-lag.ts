import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** After the load every event must have been seen within this time. */
const emptyWithin = 5_000;

/** From the commit of an event to the commit of the projection that has seen it: the server keeps both times. */
const lag = `
  SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY seen - committed) AS p99
  FROM (SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000 AS seen,
               extract(epoch FROM pg_xact_commit_timestamp(e.xmin)) * 1000 AS committed
        FROM bench.seen AS s JOIN platform.event AS e USING (position) WHERE s.position > $1) AS times`;
const unseen = `
  SELECT count(*)::int AS count FROM platform.event AS e
  WHERE type = 'allocation.allocated.v1' AND NOT EXISTS (SELECT FROM bench.seen AS s WHERE s.position = e.position)`;

/** How long a projection is behind the log, in milliseconds: the 99th percentile under the load of P1. */
const eventLag = (replicas: number): Figure => ({
  id: `P8-${replicas}`,
  what: `lag of a projection in ms, p99, one hot SKU, 256 connections, replicas: ${replicas}`,
  target: 250,
  better: 'lower',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const start = () => startServer('measured', database, { BENCH_LAG: 'true', MIGRATE_ON_START: 'true' });
    const client = new Client({ connectionString: database });
    await client.connect();
    try {
      const lags = await withServers(Array.from({ length: replicas }, start), async (servers) => {
        const urls = servers.map(({ url }) => `${url}/v1/allocations`);
        const run = (seconds: number) => load({ urls, connections: 256, seconds, skus: hot.draws() });
        ledger.add(await run(1));
        const lags: number[] = [];
        for (let count = 0; count < (context.quick ? 1 : 5); count += 1) {
          await untilSeen(client);
          const { rows } = await client.query<{ last: string }>('SELECT max(position) AS last FROM bench.seen');
          const report = ledger.add(await run(context.quick ? 1 : 3));
          const emptyAfter = await untilSeen(client);
          const [{ p99 }] = (await client.query<{ p99: number }>(lag, [rows[0]!.last])).rows as [{ p99: number }];
          lags.push(p99);
          context.note(`${p99.toFixed(1)} ms at ${Math.round(report.perSecond)} /s, 0 after ${emptyAfter} ms`);
        }
        return lags;
      });
      await ledger.audit(database);
      return lags;
    } finally {
      await client.end();
    }
  },
});

export const eventLags = [eventLag(1), eventLag(2)];

/** @returns the milliseconds until every event was seen */
async function untilSeen(client: Client): Promise<number> {
  const start = performance.now();
  for (;;) {
    const { rows } = await client.query<{ count: number }>(unseen);
    const waited = Math.round(performance.now() - start);
    if (rows[0]!.count === 0) return waited;
    if (waited > emptyWithin) throw new Error(`${rows[0]!.count} events are not seen ${waited} ms after the load`);
    await pause(20);
  }
}
