import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ledger } from '../support/audit';
import type { Comparison } from '../support/comparison';
import { type Drive, keepBusy } from '../support/drive';
import { load } from '../support/load';
import { newLine } from '../support/orders';
import { ordersOfManyLines, storm, zipf } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

const run = promisify(execFile);
const cli = join(__dirname, '../../src/cli.js');
const waiting = 64;

/** Orders as large as they are in practice. The clients are few enough to live in this process. */
const manyLines: Comparison = {
  id: 'orders',
  what: 'POST /v1/orders, orders of many lines, 10,000 SKUs, 64 connections',
  async measure(context) {
    const profile = ordersOfManyLines(10_000);
    const database = await context.freshDatabase();
    await seed(database, profile);
    const ledger = new Ledger();
    const draws = profile.draws();
    let next = 0;
    const done = { orders: 0, lines: 0 };
    const measured = await withServers([startServer('service', database)], async ([server]) => {
      const order = async (): Promise<boolean> => {
        const drawn = draws[next++ % draws.length]!;
        const { orderId } = newLine('');
        if (!(await sent('POST', `${server!.url}/v1/orders`, { orderId, ...drawn }))) return false;
        done.orders += 1;
        done.lines += drawn.lines.length;
        return true;
      };
      await keepBusy(order, waiting, 1);
      return keepBusy(order, waiting, context.quick ? 1 : 10);
    });
    ledger.add({ acknowledged: done.lines, unanswered: 0 });
    await audit(ledger, database);
    const linesPerSecond = (done.lines / done.orders) * measured.perSecond;
    return [{ load: profile.what, ...columnsOf(measured), 'lines per second': Math.round(linesPerSecond) }];
  },
};

/** Order lines while the stock under them changes: as they are without, and what the changes themselves take. */
const inTheStorm: Comparison = {
  id: 'storm',
  what: 'POST /v1/allocations, 64 connections, alone and while 8 others change quantities and ETAs of the same SKUs',
  async measure(context) {
    const profile = zipf(4_000);
    const database = await context.freshDatabase();
    await seed(database, { ...profile, batches: 3 });
    const ledger = new Ledger();
    const seconds = context.quick ? 1 : 10;
    const changes = storm(profile).draws();
    let next = 0;
    const [alone, lines, changed] = await withServers([startServer('service', database)], async ([server]) => {
      const urls = [`${server!.url}/v1/allocations`];
      const promise = (seconds: number) => load({ urls, connections: waiting, seconds, skus: profile.draws() });
      const change = (): Promise<boolean> => {
        const { ref, change } = changes[next++ % changes.length]!;
        return sent('PATCH', `${server!.url}/v1/batches/${ref}`, change);
      };
      ledger.add(await promise(1));
      const alone = ledger.add(await promise(seconds));
      return [alone, ...(await Promise.all([promise(seconds), keepBusy(change, 8, seconds)]))] as const;
    });
    ledger.add(lines);
    await audit(ledger, database);
    return [
      { load: 'order lines, alone', ...columnsOf(alone) },
      { load: 'order lines, in the storm', ...columnsOf(lines) },
      { load: 'the storm', ...columnsOf(changed) },
    ];
  },
};

/** @returns whether it was done */
async function sent(method: string, url: string, body: object): Promise<boolean> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  await answer.arrayBuffer();
  return answer.ok;
}

/** That everything is there that was acknowledged, and that every invariant of the service holds. */
async function audit(ledger: Ledger, databaseUrl: string): Promise<void> {
  await ledger.audit(databaseUrl);
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', DATABASE_URL: databaseUrl };
  await run(process.execPath, [cli, 'verify'], { env });
}

const columnsOf = ({ perSecond, p50, p99, failed }: Omit<Drive, 'unanswered' | 'acknowledged'>) => ({
  'per second': Math.round(perSecond),
  'p50 ms': Number(p50.toFixed(1)),
  'p99 ms': Number(p99.toFixed(1)),
  failed,
});

/** Loads as they come in practice. */
export const loads: readonly Comparison[] = [manyLines, inTheStorm];
