import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { freshDatabase, type TestDatabase } from '../support/database';
import { endAllServers, startServer } from '../support/server';

const count = 36_000;
const skus = 7;
/** What the JavaScript heap of the service may hold, in MiB: a third of that is there before a line has come. */
const heap = 100;

const promised = (place: number): string =>
  `${JSON.stringify({ orderId: `o${place}`, sku: `SKU-${place % skus}`, qty: 1 })}\n`;
/** A line of 5 KB that is wrong in every respect, and has a long answer. */
const refused = `${JSON.stringify({
  ...{ orderId: '', lineId: '', sku: '', qty: '', whenOutOfStock: '', priority: '' },
  ['note'.repeat(75)]: 'x'.repeat(4_500),
})}\n`;

function* lines(): Generator<string> {
  for (let place = 0; place < count; place += 1) yield place % 10 === 0 ? promised(place) : refused;
}

/** Megabytes of memory that a process holds, or held at most. */
const memoryOf = (pid: number, what: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;

describe('POST /v1/allocations/bulk of the built service', () => {
  let db: TestDatabase;
  beforeAll(async () => (db = await freshDatabase()));
  afterAll(async () => {
    endAllServers();
    await db.drop();
  });

  it('needs the same memory however many lines there are', async () => {
    const env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true' };
    const server = await startServer({ ...env, NODE_OPTIONS: `--max-old-space-size=${heap}` });
    const batches = Array.from({ length: skus }, (_, place) => ({ ref: `b${place}`, sku: `SKU-${place}`, qty: count }));
    const headers = { 'content-type': 'application/json' };
    for (const batch of batches)
      await fetch(`${server.url}/v1/batches`, { method: 'POST', headers, body: JSON.stringify(batch) });

    const before = memoryOf(server.pid, 'VmRSS');
    const post = request(`${server.url}/v1/allocations/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
    });
    const statuses = new Map<number, number>();
    let [answered, bytes] = [0, 0];
    const take = (text: string): void => {
      const { line, status } = JSON.parse(text) as { line: number; status: number };
      answered += 1;
      if (line !== answered) throw new Error(`the result of line ${line} came as number ${answered}`);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    const reading = new Promise<void>((resolve, reject) => {
      post.once('error', reject);
      post.once('response', (answer) => {
        let rest = '';
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => {
          bytes += text.length;
          const results = (rest + text).split('\n');
          rest = results.pop()!;
          results.forEach(take);
        });
        answer.once('end', resolve);
        answer.once('error', reject);
      });
    });
    await Promise.all([pipeline(Readable.from(lines()), post), reading]);

    expect(Object.fromEntries(statuses)).toEqual({ 201: count / 10, 400: (count / 10) * 9 });
    // Four times as much came.
    expect(bytes).toBeGreaterThan(35 * 2 ** 20);
    expect(memoryOf(server.pid, 'VmHWM') - before).toBeLessThan(80);
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 120_000);
});
