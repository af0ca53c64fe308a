import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { inPairs } from '../support/pairs';
import { hot, type Profile, uniform } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** What an allocation costs beside the HTTP around it: the endpoint, to one that does nothing in the same application. */
const httpToNoOp = (id: string, profile: Profile, connections: number, target: number): Figure => ({
  id: `${id}-${connections}`,
  what: `POST /v1/allocations, ${profile.what}, ${connections} connections, to a no-op POST`,
  target,
  better: 'higher',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, profile);
    const ledger = new Ledger();
    const skus = profile.draws();
    const seconds = context.quick ? 1 : 3;
    const ratios = await withServers([startServer('measured', database)], ([server]) => {
      const post = (path: string) => load({ urls: [server!.url + path], connections, seconds, skus });
      return inPairs(
        context,
        '/s',
        { name: 'allocating', measure: async () => ledger.add(await post('/v1/allocations')).perSecond },
        { name: 'doing nothing', measure: async () => (await post('/bench/no-op')).perSecond },
      );
    });
    await ledger.audit(database);
    return ratios;
  },
});

export const onOneSku = [httpToNoOp('P1', hot, 64, 0.6), httpToNoOp('P1', hot, 256, 0.9)];
export const onManySkus = [httpToNoOp('P2', uniform(10_000), 64, 0.45), httpToNoOp('P2', uniform(10_000), 256, 0.65)];
