import { readFileSync } from 'node:fs';
import type { Generation, Measured } from './load';

interface Client {
  setBody(body: string): void;
  on(event: 'response', listener: () => void): void;
}

interface Result {
  readonly '2xx': number;
  readonly non2xx: number;
  readonly duration: number;
  readonly latency: { readonly p50: number; readonly p99: number };
}

// The package has no types.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const autocannon = require('autocannon') as (options: object) => Promise<Result>;

/** The load generator where `wrk` is missing: the same requests, from this process. */
async function generate({ url, connections, seconds, pause, skus, run }: Generation): Promise<Measured> {
  const names = skus === undefined ? [] : readFileSync(skus, 'utf8').split('\n');
  let sent = 0;
  const body = (): string => {
    sent += 1;
    return JSON.stringify({ orderId: `${run}-${sent}`, sku: names[sent % names.length], qty: 1 });
  };
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    ...(pause > 0 && { connectionRate: 1000 / pause }),
    ...(skus !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      setupClient(client: Client) {
        client.setBody(body());
        client.on('response', () => client.setBody(body()));
      },
    }),
  });
  const { duration, latency } = result;
  const requests = result['2xx'] + result.non2xx;
  return { requests, failed: result.non2xx, seconds: duration, p50: latency.p50, p99: latency.p99 };
}

void generate(JSON.parse(process.argv[2]!) as Generation).then((measured) => console.log(JSON.stringify(measured)));
