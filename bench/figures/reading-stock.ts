import { setTimeout as pause } from 'node:timers/promises';
import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

const writers = 256;
const readers = 64;

/** What readers of a SKU notice of those who are promised units of it. */
export const readingStock: Figure = {
  id: 'P10',
  what: 'GET /v1/stock/{sku}, 64 connections: while lines of this SKU come at half their peak rate, to nobody writing',
  target: 0.4,
  better: 'higher',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const seconds = context.quick ? 1 : 3;
    const ratios = await withServers([startServer('service', database)], async ([server]) => {
      const stock = `${server!.url}/v1/stock/sku-0`;
      const write = async (pause?: number) => {
        const urls = [`${server!.url}/v1/allocations`];
        return ledger.add(await load({ urls, connections: writers, seconds, pause, skus: hot.draws() }));
      };
      const read = async (): Promise<number> => {
        const { failed, perSecond } = await load({ urls: [stock], connections: readers, seconds });
        if (failed > 0) throw new Error(`${failed} requests failed`);
        return perSecond;
      };
      await write();
      const peak = (await write()).perSecond;
      // They also wait for answers; from run to run it gets closer to half the peak.
      let pause = (writers * 1000) / peak;
      return inPairs(
        context,
        '/s',
        {
          name: 'beside writers',
          async measure() {
            const [perSecond, written] = await Promise.all([read(), write(pause)]);
            context.note(`${Math.round(written.perSecond)} lines /s, of ${Math.round(peak)} at the peak`);
            pause *= Math.min(2, Math.max(0.5, written.perSecond / (peak / 2)));
            return perSecond;
          },
        },
        {
          name: 'alone',
          async measure() {
            await untilStill(stock);
            return read();
          },
        },
      );
    });
    await ledger.audit(database);
    return ratios;
  },
};

/** Until what was written before can be read. */
async function untilStill(stock: string): Promise<void> {
  for (let before: string | undefined; ; await pause(200)) {
    const now = await (await fetch(stock)).text();
    if (now === before) return;
    before = now;
  }
}
