import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';
import { callProcedure, createProcedure } from '../support/stored-procedure';

/** What grouping is worth when everything else is in it: the whole service, to the fastest way without grouping. */
export const httpToProcedure: Figure = {
  id: 'P3',
  what: 'one hot SKU over HTTP, 256 connections, to a stored procedure per transaction, 16 clients',
  target: 4,
  better: 'higher',
  async measure(context) {
    const [database, other] = [await context.freshDatabase(), await context.freshDatabase()];
    await Promise.all([seed(database, hot), seed(other, hot)]);
    await createProcedure(other);
    const [ledger, otherLedger] = [new Ledger(), new Ledger()];
    const seconds = context.quick ? 1 : 3;
    const ratios = await withServers([startServer('service', database)], ([server]) => {
      const urls = [`${server!.url}/v1/allocations`];
      const post = () => load({ urls, connections: 256, seconds, skus: hot.draws() });
      return inPairs(
        context,
        '/s',
        { name: 'over HTTP', measure: async () => ledger.add(await post()).perSecond },
        {
          name: 'stored procedure',
          measure: async () => otherLedger.add(await callProcedure(other, 'sku-0', seconds)).perSecond,
        },
      );
    });
    await ledger.audit(database);
    await otherLedger.audit(other);
    return ratios;
  },
};
