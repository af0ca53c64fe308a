import { setTimeout as pause } from 'node:timers/promises';
import { Ledger } from '../support/audit';
import { ByHand } from '../support/by-hand';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { newLine } from '../support/orders';
import { inPairs, medianOf } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** Between two requests nothing happens for a while: the service is idle. */
const idleFor = 3;

/** What a request costs beside its statements, when nobody else waits: median latencies. */
export const idleLatency: Figure = {
  id: 'P7',
  what: 'latency of a single request, idle: the service, to the same statements by hand',
  target: 1.5,
  better: 'lower',
  async measure(context) {
    const [database, byHands] = [await context.freshDatabase(), await context.freshDatabase()];
    await Promise.all([seed(database, hot), seed(byHands, hot)]);
    const [ledger, handLedger] = [new Ledger(), new Ledger()];
    const byHand = await ByHand.connect(byHands, 'sku-0', [newLine('sku-0')]);
    handLedger.add({ acknowledged: 1, unanswered: 0 });
    const seconds = context.quick ? 1 : 3;
    const request = (url: string) => ({
      urls: [`${url}/v1/allocations`],
      ...{ connections: 1, seconds, skus: hot.draws(), pause: idleFor },
    });
    const send = async (): Promise<number> => {
      const latencies: number[] = [];
      for (const end = performance.now() + seconds * 1000; performance.now() < end; await pause(idleFor)) {
        const start = performance.now();
        await byHand.allocate([newLine('sku-0')]);
        latencies.push(performance.now() - start);
      }
      handLedger.add({ acknowledged: latencies.length, unanswered: 0 });
      return medianOf(latencies);
    };
    try {
      return await withServers([startServer('service', database)], ([server]) =>
        inPairs(
          context,
          'ms',
          { name: 'the service', measure: async () => ledger.add(await load(request(server!.url))).p50 },
          { name: 'by hand', measure: send },
        ),
      );
    } finally {
      await byHand.close();
      await ledger.audit(database);
      await handLedger.audit(byHands);
    }
  },
};
