import { randomUUID } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { parse } from 'csv-parse/sync';
import { AppModule, modules } from '../../src/app.module';
import type { LedgerPage, PromisePage } from '../../src/inventory/contract/queries';
import { runCommandLine } from '../../src/platform/cli/command-line';
import { encodeCursor } from '../../src/platform/http/cursor';
import { inContext } from '../../src/platform/request-context';
import { startService } from '../support/app';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { replicaOver } from '../support/replica';

describe('The ledger over HTTP and on the command line', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    db = await freshDatabase();
    app = await startService(db.url);
    const { createBatch, allocate } = replicaOver(await db.connect());
    const actor = '=HYPERLINK("http://elsewhere")';
    await inContext({ actor, correlationId: randomUUID(), causationId: null }, () => createBatch('t-1', 'TABLE', 9));
    for (const order of ['o1', 'o2', 'o3']) await allocate(line(order, 'TABLE', 2));
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const get = async <T>(url: string): Promise<{ status: number; body: T }> => {
    const answer = await app.inject({ method: 'GET', url });
    return { status: answer.statusCode, body: answer.json<T>() };
  };

  it('comes in pages, from either end', async () => {
    const versions = async (query: string): Promise<number[][]> => {
      const found: number[][] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const { status, body }: { status: number; body: LedgerPage & { next: string | null } } = await get(
          `/v1/stock/TABLE/ledger?limit=3&${query}${cursor && `&cursor=${cursor}`}`,
        );
        expect(status).toBe(200);
        found.push(body.entries.map(({ version }) => version));
        cursor = body.next;
      }
      return found;
    };
    expect(await versions('')).toEqual([[1, 2, 3], [4]]);
    expect(await versions('order=desc')).toEqual([[4, 3, 2], [1]]);
    const { entries } = (await get<LedgerPage>('/v1/stock/TABLE/ledger')).body;
    expect(await versions(`order=desc&asOf=${entries[2]!.occurredAt}`)).toEqual([[3, 2, 1]]);
  });

  it('leads to the stock and the promises of any of its moments', async () => {
    const { entries } = (await get<LedgerPage>('/v1/stock/TABLE/ledger')).body;
    const { occurredAt } = entries[1]!;
    expect(await get(`/v1/stock/TABLE?asOf=${occurredAt}`)).toMatchObject({
      status: 200,
      body: { version: 2, onHand: 9, promised: 2, available: 7, batches: [{ ref: 't-1', promised: 2 }] },
    });
    expect(await get(`/v1/stock/TABLE/promises?asOf=${occurredAt}`)).toEqual({
      status: 200,
      body: {
        sku: 'TABLE',
        version: 2,
        lines: [{ orderId: 'o1', lineId: '1', qty: 2, batchRef: 't-1', eta: null }],
        next: null,
      },
    });
  });

  it('lists the promises of now in pages', async () => {
    const first = (await get<PromisePage & { next: string }>('/v1/stock/TABLE/promises?limit=2')).body;
    expect(first).toMatchObject({ version: 4, lines: [{ orderId: 'o1' }, { orderId: 'o2' }] });
    const second = (await get<PromisePage>(`/v1/stock/TABLE/promises?limit=2&cursor=${first.next}`)).body;
    expect(second).toMatchObject({ version: 4, lines: [{ orderId: 'o3' }], next: null });
  });

  it.each(['', '/ledger', '/promises'])('knows nothing of a SKU before its first event: %s', async (path) => {
    const { status, body } = await get(`/v1/stock/TABLE${path}?asOf=2020-01-01T00:00:00Z`);
    expect({ status, body }).toMatchObject({ status: 404, body: { code: 'unknown-sku', sku: 'TABLE' } });
  });

  it.each([
    ['ledger?asOf=yesterday', 'invalid-request'],
    ['ledger?asOf=2026-02-30T00:00:00Z', 'invalid-request'],
    ['ledger?asOf=2026-02-20T00:00:00%2B01:00', 'invalid-request'],
    ['ledger?asOf=1969-12-31T23:59:59Z', 'invalid-request'],
    ['ledger?asOf=2026-02-20T00:00:00.1234567Z', 'invalid-request'],
    ['ledger?asOf=2026-02-20T00:00:00Z&asOf=2026-02-21T00:00:00Z', 'invalid-request'],
    ['ledger?limit=201', 'invalid-request'],
    ['ledger?order=up', 'invalid-request'],
    ['ledger?after=1', 'invalid-request'],
    ['ledger?cursor=forged', 'invalid-cursor'],
    [`ledger?cursor=${encodeCursor({ version: 0 })}`, 'invalid-cursor'],
    [`ledger?cursor=${encodeCursor({ version: 1e300 })}`, 'invalid-cursor'],
    [`ledger?cursor=${encodeCursor({ version: 1, onHand: 5 })}`, 'invalid-cursor'],
    [`promises?cursor=${encodeCursor({ version: 1 })}`, 'invalid-cursor'],
    [`promises?cursor=${encodeCursor({ orderId: "' OR 1=1", lineId: '1' })}`, 'invalid-cursor'],
    ['promises?limit=0', 'invalid-request'],
  ])('refuses %s', async (query, code) => {
    expect(await get(`/v1/stock/TABLE/${query}`)).toMatchObject({ status: 400, body: { code } });
  });

  describe('batchwise ledger', () => {
    async function ledger(...args: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
      const [out, err]: [string[], string[]] = [[], []];
      const commandLine = { version: '1', modules, application: AppModule.forRoot.bind(AppModule), outside: [] };
      const env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true', LOG_LEVEL: 'error' };
      const code = await runCommandLine(commandLine, ['ledger', ...args], env, {
        out: (line) => void out.push(line),
        note: (line) => void err.push(line),
        progress: () => ({ update: () => undefined, end: () => undefined }),
      });
      return { code, out, err };
    }

    it('prints all of it as a table', async () => {
      const { code, out } = await ledger('TABLE');
      expect(code).toBe(0);
      expect(out).toHaveLength(5);
      expect(out[0]).toMatch(/^version +when +by +onHand +inbound +promised +available +backordered +what$/);
      expect(out[4]).toMatch(
        /^4 +\S+Z +system +9 +0 +6 \(\+2\) +3 \(-2\) +0 +Line 1 of order o3 was promised 2 units of batch t-1, as requested\.$/,
      );
    });

    it('prints the last changes as of an instant, oldest first', async () => {
      const { entries } = (await get<LedgerPage>('/v1/stock/TABLE/ledger')).body;
      const { code, out } = await ledger('TABLE', '--limit', '2', '--as-of', entries[2]!.occurredAt);
      expect({ code, versions: out.map((line) => line.split(' ')[0]) }).toEqual({
        code: 0,
        versions: ['version', '2', '3'],
      });
    });

    it('prints CSV in which a spreadsheet finds no formula', async () => {
      const { code, out } = await ledger('TABLE', '--csv');
      const rows = parse<Record<string, string>>(out.join('\n'), { columns: true });
      expect({ code, rows: rows.length }).toEqual({ code: 0, rows: 4 });
      expect(rows[0]).toMatchObject({ actor: `'=HYPERLINK("http://elsewhere")`, onHandBefore: '0', onHandAfter: '9' });
      expect(rows[3]).toMatchObject({ version: '4', availableBefore: '5', availableAfter: '3', causationId: '' });
    });

    it('says so, and fails, if nothing is known', async () => {
      expect(await ledger('NEVER')).toMatchObject({ code: 1, out: [], err: ['Nothing is known of NEVER.'] });
      expect(await ledger('NEVER', '--limit', '3')).toMatchObject({ code: 1, out: [] });
    });

    it.each([[['TABLE', '--as-of', 'yesterday']], [['TABLE', '--limit', 'all']], [[]]])('refuses %j', async (args) => {
      const { code, out, err } = await ledger(...args);
      expect({ code, out }).toEqual({ code: 2, out: [] });
      expect(err[0]).toMatch(/^batchwise ledger: .+\.$/);
    });
  });
});
