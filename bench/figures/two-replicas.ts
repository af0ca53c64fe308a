import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** What it costs that two replicas share the locks of one SKU. The load has two generators on either side. */
export const twoReplicas: Figure = {
  id: 'P9',
  what: 'one hot SKU, 256 connections: two replicas, to one',
  target: 0.9,
  better: 'higher',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const skus = hot.draws();
    const start = [startServer('service', database), startServer('service', database)];
    const ratios = await withServers(start, ([one, two]) => {
      const measure = (servers: readonly string[]) => async () => {
        const urls = servers.map((url) => `${url}/v1/allocations`);
        const report = ledger.add(await load({ urls, connections: 256, seconds: context.quick ? 1 : 3, skus }));
        if (report.failed > 0) throw new Error(`${report.failed} requests failed`);
        return report.perSecond;
      };
      return inPairs(
        context,
        '/s',
        { name: 'two replicas', measure: measure([one!.url, two!.url]) },
        { name: 'one', measure: measure([one!.url, one!.url]) },
      );
    });
    await ledger.audit(database);
    return ratios;
  },
};
