import { setTimeout as pause } from 'node:timers/promises';
import { Ledger } from '../support/audit';
import type { Context, Figure } from '../support/figure';
import { load } from '../support/load';
import { inPairs, medianOf } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { type Server, startServer, withServers } from '../support/server';

/** What Batchwise adds to the start of an application of the same packages, with a database that is there. */
export const startToReady: Figure = {
  id: 'P12-start',
  what: 'start to ready with an existing database, to a minimal application of the same packages',
  target: 1.5,
  better: 'lower',
  async measure(context) {
    const database = await context.freshDatabase();
    const started = (program: 'service' | 'minimal') => () =>
      withServers([startServer(program, database)], ([server]) => Promise.resolve(server!.startedIn));
    return inPairs(
      context,
      'ms',
      { name: 'Batchwise', measure: started('service') },
      { name: 'minimal', measure: started('minimal') },
    );
  },
};

/** Memory under the load of P1, in megabytes: the most that was held. */
export const memoryUnderLoad: Figure = {
  id: 'P12-memory',
  what: 'resident memory in MB, one hot SKU, 256 connections',
  target: 250,
  better: 'lower',
  measure: (context) =>
    underLoad(context, async (server, run) => {
      const most: number[] = [];
      for (let count = 0; count < (context.quick ? 1 : 5); count += 1) {
        most.push(Math.max(...(await memoryDuring(server, run(context.quick ? 2 : 4), 100))));
        context.note(`${Math.round(most.at(-1)!)} MB`);
      }
      return most;
    }),
};

/** Whether memory grows: its median in the last quarter of ten minutes, to the second quarter. The first warms up. */
export const soak: Figure = {
  id: 'soak',
  what: 'resident memory over ten minutes of load: the last quarter, to the second',
  target: 1.1,
  better: 'lower',
  long: true,
  measure: (context) =>
    underLoad(context, async (server, run) => {
      const samples = await memoryDuring(server, run(context.quick ? 8 : 600), context.quick ? 100 : 1000);
      const quarter = (index: number): number =>
        medianOf(samples.slice((samples.length * index) / 4, (samples.length * (index + 1)) / 4));
      context.note(`MB by quarters: ${[0, 1, 2, 3].map((index) => Math.round(quarter(index))).join(', ')}`);
      return [quarter(3) / quarter(1)];
    }),
};

async function underLoad<T>(
  context: Context,
  use: (server: Server, run: (seconds: number) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const database = await context.freshDatabase();
  await seed(database, hot);
  const ledger = new Ledger();
  const result = await withServers([startServer('service', database)], ([server]) =>
    use(server!, async (seconds) => {
      const urls = [`${server!.url}/v1/allocations`];
      ledger.add(await load({ urls, connections: 256, seconds, skus: hot.draws() }));
    }),
  );
  await ledger.audit(database);
  return result;
}

async function memoryDuring(server: Server, running: Promise<unknown>, every: number): Promise<number[]> {
  const samples: number[] = [];
  let over = false;
  const end = running.finally(() => (over = true));
  while (!over) {
    samples.push(server.memory());
    await Promise.race([end, pause(every)]);
  }
  return samples;
}
