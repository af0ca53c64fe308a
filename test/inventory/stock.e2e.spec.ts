import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { AvailabilityCommand } from '../../src/inventory/cli/availability.command';
import { StockCommand } from '../../src/inventory/cli/stock.command';
import type { Availability, Stock } from '../../src/inventory/contract/queries';
import { dayOf, daysAfter } from '../../src/inventory/domain/availability';
import { ImportWorker } from '../../src/inventory/messaging/import-worker';
import { type CliCommand, UsageError } from '../../src/platform/cli/cli-command';
import { encodeCursor } from '../../src/platform/http/cursor';
import { Relay } from '../../src/platform/event-log/relay';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';

describe('Stock', () => {
  let db: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;
  /** The day on which the test began; it asks for days by their dates, so that midnight changes nothing. */
  const today = dayOf(new Date());
  const day = (days: number): string => daysAfter(today, days);

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    app = await startService(db.url);
    app.get(Relay).start();
    app.get(ImportWorker).start();

    await batch('table-here', 'TABLE', 20);
    await batch('table-2', 'TABLE', 10, day(2));
    await batch('table-4', 'TABLE', 1, day(4));
    await batch('table-5', 'TABLE', 3, day(5));
    await allocate('o1', 'TABLE', 18);
    await batch('lamp-late', 'LAMP', 5, day(-3));
    await batch('sofa-1', 'SOFA', 4);
    await allocate('o2', 'SOFA', 4);
    await allocate('o3', 'SOFA', 2, 'backorder');
    await batch('desk-1', 'DESK', 7, day(1));
    await app.inject({ method: 'PUT', url: '/v1/stock/DESK/threshold', payload: { reorderPoint: 7 } });
    await shown('TABLE', 5);
    await shown('SOFA', 3);
    await shown('DESK', 1);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
  const batch = (ref: string, sku: string, qty: number, eta: string | null = null) =>
    post('/v1/batches', { ref, sku, qty, eta });
  const allocate = (orderId: string, sku: string, qty: number, whenOutOfStock = 'refuse') =>
    post('/v1/allocations', { orderId, sku, qty, whenOutOfStock });
  const get = async (url: string): Promise<unknown> => {
    const answer = await app.inject(url);
    if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.body}`);
    return answer.json();
  };
  const shown = (sku: string, version: number) =>
    until(async () => (await app.inject(`/v1/stock/${sku}`)).json<Stock>().version >= version);
  const listed = async (query = ''): Promise<string[]> =>
    ((await get(`/v1/stock${query}`)) as { stock: Stock[] }).stock.map(({ sku }) => sku);

  it('is shown batch by batch, with the version that it shows', async () => {
    expect(await get('/v1/stock/TABLE')).toEqual({
      sku: 'TABLE',
      version: 5,
      onHand: 20,
      inbound: 14,
      promised: 18,
      available: 16,
      backordered: 0,
      nextArrival: day(2),
      lateUnits: 0,
      batchCount: 4,
      batches: [
        expect.objectContaining({ ref: 'table-2', available: 10, eta: day(2), late: false }),
        expect.objectContaining({ ref: 'table-4' }),
        expect.objectContaining({ ref: 'table-5' }),
        expect.objectContaining({ ref: 'table-here', purchased: 20, promised: 18, available: 2, eta: null }),
      ],
    });
    expect(await get('/v1/stock/LAMP')).toMatchObject({
      inbound: 5,
      lateUnits: 5,
      nextArrival: day(-3),
      batches: [{ ref: 'lamp-late', late: true, available: 5 }],
    });
    expect(await get('/v1/stock/SOFA')).toMatchObject({ available: 0, backordered: 2, nextArrival: null });
  });

  it('is listed by status, in four orders', async () => {
    expect(await listed()).toEqual(['DESK', 'LAMP', 'SOFA', 'TABLE']);
    expect(await listed('?sort=available')).toEqual(['SOFA', 'LAMP', 'DESK', 'TABLE']);
    expect(await listed('?sort=-available')).toEqual(['TABLE', 'DESK', 'LAMP', 'SOFA']);
    expect(await listed('?sort=nextArrival')).toEqual(['LAMP', 'DESK', 'TABLE', 'SOFA']);
    expect(await listed('?status=out')).toEqual(['SOFA']);
    expect(await listed('?status=late&sort=-available')).toEqual(['LAMP']);
    await until(async () => (await listed('?status=low')).length > 0);
    expect(await listed('?status=low')).toEqual(['DESK']);
  });

  it('is listed page by page', async () => {
    const pages: string[][] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = (await get(`/v1/stock?limit=1&sort=nextArrival${cursor && `&cursor=${cursor}`}`)) as {
        stock: Stock[];
        next: string | null;
      };
      pages.push(page.stock.map(({ sku }) => sku));
      cursor = page.next;
    }
    expect(pages).toEqual([['LAMP'], ['DESK'], ['TABLE'], ['SOFA']]);
  });

  describe('that is available', () => {
    const availability = async (sku: string, query = ''): Promise<Availability> =>
      (await get(`/v1/stock/${sku}/availability${query}`)) as Availability;
    const example = `from=${today}&to=${day(6)}`;

    it('is known for each day, with the batches that it comes from', async () => {
      const { days, free, from, to } = await availability('TABLE', `?${example}`);
      expect({ from, to }).toEqual({ from: today, to: day(6) });
      expect(days.map(({ available }) => available)).toEqual([2, 2, 12, 12, 13, 16, 16]);
      expect(free.map(({ batchRef, units }) => [batchRef, units])).toEqual([
        ['table-here', 2],
        ['table-2', 10],
        ['table-4', 1],
        ['table-5', 3],
      ]);
      expect((await availability('TABLE')).days).toHaveLength(31);
    });

    it('is promised to a line, unsplit, by the policy that allocates', async () => {
      const line = async (qty: number) => (await availability('TABLE', `?${example}&qty=${qty}`)).earliest;
      expect(await line(2)).toEqual({ qty: 2, batchRef: 'table-here', date: today });
      expect(await line(10)).toEqual({ qty: 10, batchRef: 'table-2', date: day(2) });
      expect(await line(13)).toEqual({ qty: 13, batchRef: null, date: null });
      // What arrives later than the range ends is known too.
      expect((await availability('TABLE', `?to=${today}&qty=10`)).earliest).toMatchObject({ date: day(2) });
    });

    it('counts a late batch from today, as the promise from it does', async () => {
      const { days, free, earliest } = await availability('LAMP', `?from=${today}&to=${today}&qty=5`);
      expect(days).toEqual([{ date: today, available: 5, largestLine: 5 }]);
      expect(free).toEqual([{ batchRef: 'lamp-late', units: 5, eta: day(-3), late: true, countedFrom: today }]);
      expect(earliest).toEqual({ qty: 5, batchRef: 'lamp-late', date: today });
    });

    it('goes to those who wait first', async () => {
      await batch('sofa-2', 'SOFA', 1, day(3));
      await shown('SOFA', 4);
      const { days, earliest, backordered } = await availability('SOFA', `?from=${day(3)}&to=${day(3)}`);
      expect(backordered).toBe(2);
      expect(days).toEqual([{ date: day(3), available: 1, largestLine: 1 }]);
      expect(earliest).toEqual({ qty: 1, batchRef: null, date: null });
    });
  });

  it('is shown as of an instant', async () => {
    await batch('chair-1', 'CHAIR', 5);
    const { rows } = await client.query<{ now: string }>(
      `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
    );
    const asOf = rows[0]!.now;
    await batch('chair-2', 'CHAIR', 50);
    await shown('CHAIR', 2);
    expect(await get('/v1/stock/CHAIR')).toMatchObject({ version: 2, available: 55 });
    expect(await get(`/v1/stock/CHAIR?asOf=${asOf}`)).toMatchObject({ version: 1, available: 5 });
    expect(await get(`/v1/stock/CHAIR/availability?asOf=${asOf}&qty=6`)).toMatchObject({
      version: 1,
      free: [{ batchRef: 'chair-1', units: 5 }],
      earliest: { qty: 6, batchRef: null, date: null },
    });
    expect(await get(`/v1/stock/CHAIR/availability?asOf=${asOf}&qty=5`)).toMatchObject({
      earliest: { qty: 5, batchRef: 'chair-1' },
    });
    const before = await app.inject('/v1/stock/CHAIR?asOf=2020-01-01T00:00:00Z');
    expect([before.statusCode, before.json<{ code: string }>().code]).toEqual([404, 'unknown-sku']);
  });

  it('is shown of a SKU that is called `imports`, like the way to supplier files', async () => {
    await batch('imports-1', 'imports', 5);
    await app.inject({ method: 'PUT', url: '/v1/stock/imports/threshold', payload: { reorderPoint: 2 } });
    await shown('imports', 1);
    for (const what of ['', '/availability', '/ledger', '/promises'])
      expect(await get(`/v1/stock/imports${what}`)).toMatchObject({ sku: 'imports' });
    expect(await get('/v1/stock/imports/threshold')).toMatchObject({ pattern: 'imports' });
  });

  it('is shown with a thousand batches at most, those first that are open', async () => {
    const refs = Array.from({ length: 1_001 }, (_, n) => `many-${String(n).padStart(4, '0')}`);
    await app.inject({
      method: 'POST',
      url: '/v1/stock/imports',
      headers: { 'content-type': 'text/csv' },
      payload: ['ref,sku,qty', ...refs.map((ref) => `${ref},MANY,1`)].join('\n'),
    });
    await shown('MANY', refs.length);
    await allocate('of-many', 'MANY', 1);
    await shown('MANY', refs.length + 1);
    for (const when of ['', `?asOf=${new Date(Date.now() + 60_000).toISOString()}`]) {
      const { batchCount, onHand, available, batches } = (await get(`/v1/stock/MANY${when}`)) as Stock;
      expect({ batchCount, onHand, available }).toEqual({ batchCount: 1_001, onHand: 1_001, available: 1_000 });
      expect(batches.map(({ ref }) => ref)).toEqual(refs.slice(1));
    }
  });

  it.each([
    ['/v1/stock/NO-SUCH', 404, 'unknown-sku'],
    ['/v1/stock/NO-SUCH/availability', 404, 'unknown-sku'],
    ['/v1/stock/NO-SUCH/availability?asOf=2026-01-01T00:00:00Z', 404, 'unknown-sku'],
    ['/v1/stock/a%20b', 400, 'invalid-request'],
    ['/v1/stock/imports/NO-SUCH', 404, 'unknown-route'],
    ['/v1/stock?status=fine', 400, 'invalid-request'],
    ['/v1/stock?status=out&status=late', 400, 'invalid-request'],
    ['/v1/stock?sort=-sku', 400, 'invalid-request'],
    ['/v1/stock?limit=201', 400, 'invalid-request'],
    ['/v1/stock?page=2', 400, 'invalid-request'],
    ['/v1/stock?cursor=abc', 400, 'invalid-cursor'],
    [`/v1/stock?cursor=${encodeCursor({ sku: 'A', available: 'many', nextArrival: null })}`, 400, 'invalid-cursor'],
    ['/v1/stock/TABLE?asOf=yesterday', 400, 'invalid-request'],
    ['/v1/stock/TABLE?asOf=2026-02-30T00:00:00Z', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?from=2026-02-30', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?qty=0', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?qty=1.5', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?qty=2147483648', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?days=3', 400, 'invalid-request'],
    ['/v1/stock/TABLE/availability?from=2030-01-02&to=2030-01-01', 400, 'invalid-range'],
    ['/v1/stock/TABLE/availability?from=2030-01-01&to=2031-01-02', 400, 'invalid-range'],
    ['/v1/stock/TABLE/availability?to=2020-01-01', 400, 'invalid-range'],
  ])('is not to be had by %s', async (url, status, code) => {
    const answer = await app.inject(url);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([status, code]);
  });

  it('is known to the end of the calendar', async () => {
    const { days } = (await get('/v1/stock/TABLE/availability?from=9999-12-30')) as Availability;
    expect(days.map(({ date, available }) => [date, available])).toEqual([
      ['9999-12-30', 16],
      ['9999-12-31', 16],
    ]);
  });

  describe('on the command line', () => {
    const run = async (command: CliCommand, ...args: string[]): Promise<{ code: number; out: string; err: string }> => {
      let [out, err] = ['', ''];
      const code = await command.run(args, {
        out: (line) => void (out += `${line}\n`),
        note: (line) => void (err += `${line}\n`),
        progress: () => ({ update: () => undefined, end: () => undefined }),
      });
      return { code, out, err };
    };

    it('is a table of SKUs, or of the batches of one', async () => {
      const stock = app.get(StockCommand);
      const { code, out, err } = await run(stock, '--status', 'late');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^sku +available +on hand .*\nLAMP +5 +0 +5 +0 +0 +\d{4}-\d\d-\d\d +5 +1\n$/);
      expect(await run(stock, '--sort', 'available', '--limit', '1')).toMatchObject({
        out: expect.stringMatching(/\nSOFA .*\n$/),
        err: 'There are more; --limit says how many are shown.\n',
      });
      const one = await run(stock, 'TABLE');
      expect(one.out).toMatch(/^available +16$/m);
      expect(one.out).toMatch(/^table-here +2 +20 +18 +warehouse$/m);
      expect(await run(stock, 'NO-SUCH')).toEqual({ code: 1, out: '', err: 'Nothing is known of NO-SUCH.\n' });
      for (const wrong of [
        ['--status', 'fine'],
        ['TABLE', '--status', 'out'],
        ['--limit', '0'],
        ['A', 'B'],
      ])
        await expect(run(stock, ...wrong)).rejects.toThrow(UsageError);
    });

    it('is available by day, where a day brings something', async () => {
      const availability = app.get(AvailabilityCommand);
      const { code, out } = await run(availability, 'TABLE', '--qty', '10', '--from', today, '--to', day(6));
      expect(code).toBe(0);
      const [heads, ...lines] = out.trimEnd().split('\n');
      expect(heads).toMatch(/^from +available +largest line +new$/);
      expect(lines.slice(0, -1).map((line) => line.split(/ {2,}/))).toEqual([
        [today, '2', '2', '2 of table-here'],
        [day(2), '12', '10', '10 of table-2'],
        [day(4), '13', '10', '1 of table-4'],
        [day(5), '16', '10', '3 of table-5'],
      ]);
      expect(lines.at(-1)).toBe(`Until ${day(6)}. A line of 10: ${day(2)}, of table-2.`);
      expect((await run(availability, 'TABLE', '--qty', '13')).out).toMatch(/A line of 13: cannot be promised\.\n$/);
      expect(await run(availability, 'NO-SUCH')).toEqual({ code: 1, out: '', err: 'Nothing is known of NO-SUCH.\n' });
      for (const wrong of [[], ['TABLE', '--qty', '0'], ['TABLE', '--from', 'tomorrow']])
        await expect(run(availability, ...wrong)).rejects.toThrow(UsageError);
    });
  });
});
