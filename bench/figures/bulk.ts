import { once } from 'node:events';
import { request } from 'node:http';
import { Ledger } from '../support/audit';
import type { Figure } from '../support/figure';
import { load } from '../support/load';
import { newLine } from '../support/orders';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';
import { startServer, withServers } from '../support/server';

/** Lines that are written at once. */
const atOnce = 500;

/** What a request for each line costs beside one for all of them. */
export const bulkToSingle: Figure = {
  id: 'P4',
  what: 'POST /v1/allocations/bulk, one SKU, one connection: lines per second, to requests of P1-256 per second',
  target: 3,
  better: 'higher',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const skus = hot.draws();
    const seconds = context.quick ? 1 : 3;
    const ratios = await withServers([startServer('service', database)], ([server]) => {
      const single = { urls: [`${server!.url}/v1/allocations`], connections: 256, seconds, skus };
      return inPairs(
        context,
        '/s',
        {
          name: 'bulk',
          measure: async () => ledger.add(await stream(`${server!.url}/v1/allocations/bulk`, skus, seconds)).perSecond,
        },
        { name: 'single', measure: async () => ledger.add(await load(single)).perSecond },
      );
    });
    await ledger.audit(database);
    return ratios;
  },
};

/** Sends lines of new orders for a while, as fast as they are taken, and reads every result. @throws if a line was refused */
async function stream(
  url: string,
  skus: readonly string[],
  seconds: number,
): Promise<{ perSecond: number; acknowledged: number; unanswered: number }> {
  const post = request(url, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' } });
  const acknowledged = new Promise<number>((resolve, reject) => {
    post.once('error', reject);
    post.once('response', (answer) => {
      let promised = 0;
      let rest = '';
      answer.setEncoding('utf8');
      answer.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop()!;
        for (const line of lines)
          if (line.includes('"status":201')) promised += 1;
          else reject(new Error(`a line was answered with ${line}`));
      });
      answer.once('error', reject);
      answer.once('end', () => resolve(promised));
    });
  });
  const start = performance.now();
  let sent = 0;
  while (performance.now() < start + seconds * 1000) {
    let text = '';
    for (let count = 0; count < atOnce; count += 1) text += `${JSON.stringify(newLine(skus[sent++ % skus.length]!))}\n`;
    if (!post.write(text)) await Promise.race([once(post, 'drain'), acknowledged]);
  }
  post.end();
  const promised = await acknowledged;
  if (promised !== sent) throw new Error(`${sent} lines were sent, ${promised} answered`);
  return { perSecond: (promised * 1000) / (performance.now() - start), acknowledged: promised, unanswered: 0 };
}
