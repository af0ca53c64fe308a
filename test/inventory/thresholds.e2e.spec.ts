import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ThresholdsCommand } from '../../src/inventory/cli/thresholds.command';
import { type Terminal, UsageError } from '../../src/platform/cli/cli-command';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

describe('Thresholds', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    db = await freshDatabase();
    app = await startService(db.url);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const send = async (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: object) => {
    const answer = await app.inject({ method, url, ...(payload && { payload }) });
    return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
  };

  describe('of a SKU', () => {
    it('are set, read, changed and removed', async () => {
      const url = '/v1/stock/SMALL-TABLE/threshold';
      expect(await send('GET', url)).toMatchObject({ status: 404, body: { code: 'unknown-threshold' } });
      const set = { status: 200, body: { pattern: 'SMALL-TABLE', reorderPoint: 20, clearAt: 22 } };
      expect(await send('PUT', url, { reorderPoint: 20 })).toEqual(set);
      expect(await send('PUT', url, { reorderPoint: 20 })).toEqual(set);
      expect(await send('GET', url)).toEqual(set);
      const changed = { status: 200, body: { pattern: 'SMALL-TABLE', reorderPoint: 0, clearAt: 30 } };
      expect(await send('PUT', url, { reorderPoint: 0, clearAt: 30 })).toEqual(changed);
      expect(await send('DELETE', url)).toEqual(changed);
      expect(await send('DELETE', url)).toMatchObject({ status: 404, body: { code: 'unknown-threshold' } });
      expect(await send('GET', url)).toMatchObject({ status: 404 });
    });

    it('may be called thresholds', async () => {
      expect(await send('PUT', '/v1/stock/thresholds/threshold', { reorderPoint: 1 })).toMatchObject({ status: 200 });
      expect(await send('DELETE', '/v1/stock/thresholds/threshold')).toMatchObject({ status: 200 });
    });

    it('leave the decision to a pattern when they are removed', async () => {
      const url = '/v1/stock/LAMP-7/threshold';
      await send('PUT', '/v1/thresholds/LAMP-*', { reorderPoint: 5 });
      expect(await send('GET', url)).toMatchObject({ status: 200, body: { pattern: 'LAMP-*' } });
      await send('PUT', url, { reorderPoint: 6 });
      expect(await send('GET', url)).toMatchObject({ status: 200, body: { pattern: 'LAMP-7' } });
      await send('DELETE', url);
      expect(await send('GET', url)).toMatchObject({ status: 200, body: { pattern: 'LAMP-*' } });
      await send('DELETE', '/v1/thresholds/LAMP-*');
    });
  });

  describe('of patterns', () => {
    it('are set, read, listed a page at a time, and removed', async () => {
      const patterns = ['*', '*-OAK', 'SOFA', 'TABLE-*'];
      for (const [place, pattern] of patterns.entries())
        expect(await send('PUT', `/v1/thresholds/${encodeURIComponent(pattern)}`, { reorderPoint: place })).toEqual({
          status: 200,
          body: { pattern, reorderPoint: place, clearAt: place + 1 },
        });
      expect(await send('GET', '/v1/thresholds/TABLE-%2A')).toMatchObject({ status: 200, body: { reorderPoint: 3 } });
      const listed: unknown[] = [];
      for (let next: string | null = ''; next !== null;) {
        const cursor: string = next === '' ? '' : `&cursor=${next}`;
        const { body } = await send('GET', `/v1/thresholds?limit=3${cursor}`);
        listed.push(...(body.thresholds as { pattern: string }[]).map(({ pattern }) => pattern));
        next = body.next as string | null;
      }
      expect(listed.toSorted()).toEqual(patterns.toSorted());
      for (const pattern of patterns) await send('DELETE', `/v1/thresholds/${pattern}`);
      expect(await send('GET', '/v1/thresholds')).toEqual({ status: 200, body: { thresholds: [], next: null } });
    });
  });

  it.each<['GET' | 'PUT' | 'DELETE', string, object | undefined]>([
    ['PUT', '/v1/stock/LAMP/threshold', {}],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: -1 }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 1.5 }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: '5' }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: null }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 2 ** 31 }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 5, clearAt: 0 }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 5, clearAt: 2 ** 53 }],
    ['PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 5, other: 1 }],
    ['PUT', '/v1/stock/LAMP*/threshold', { reorderPoint: 5 }],
    ['PUT', '/v1/stock/%00/threshold', { reorderPoint: 5 }],
    ['PUT', '/v1/thresholds/A**', { reorderPoint: 5 }],
    ['PUT', '/v1/thresholds/A%20*', { reorderPoint: 5 }],
    ['PUT', `/v1/thresholds/${'A'.repeat(65)}*`, { reorderPoint: 5 }],
    ['GET', '/v1/thresholds/-', undefined],
    ['DELETE', "/v1/thresholds/'OR'1'='1", undefined],
    ['GET', '/v1/thresholds?limit=0', undefined],
    ['GET', '/v1/thresholds?limit=201', undefined],
    ['GET', '/v1/thresholds?other=1', undefined],
  ])('refuse %s %s %j', async (method, url, payload) => {
    expect(await send(method, url, payload)).toMatchObject({ status: 400, body: { code: 'invalid-request' } });
  });

  it('refuse a cursor of someone else, and a recovery that is no recovery', async () => {
    expect(await send('GET', '/v1/thresholds?cursor=bm8')).toMatchObject({ body: { code: 'invalid-cursor' } });
    const refused = { status: 400, body: { code: 'invalid-clear-at', reorderPoint: 5, clearAt: 5 } };
    expect(await send('PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 5, clearAt: 5 })).toMatchObject(refused);
    expect(await send('GET', '/v1/thresholds')).toMatchObject({ body: { thresholds: [] } });
  });

  describe('on the command line', () => {
    const run = async (...args: string[]): Promise<string[]> => {
      const lines: string[] = [];
      const terminal = { out: (line: string) => lines.push(line) } as unknown as Terminal;
      expect(await app.get(ThresholdsCommand, { strict: false }).run(args, terminal)).toBe(0);
      return lines;
    };

    it('are listed, set and removed', async () => {
      expect(await run('list')).toEqual(['There are no thresholds.']);
      expect(await run('set', 'TABLE-*', '20')).toEqual([
        'Stock of TABLE-* is low at 20 units, and has recovered at 22.',
      ]);
      await run('set', 'LAMP', '5', '--clear-at', '9');
      expect(await run('list')).toEqual([
        'sku or pattern  low at  recovered at',
        'LAMP            5       9',
        'TABLE-*         20      22',
      ]);
      await run('remove', 'LAMP');
      await run('remove', 'TABLE-*');
      expect(await run('list')).toEqual(['There are no thresholds.']);
    });

    it.each([
      [['set', 'LAMP']],
      [['set', 'LA MP', '5']],
      [['set', 'LAMP', '-5']],
      [['set', 'LAMP', '5x']],
      [['list', 'LAMP']],
      [['remove', 'LAMP', '5']],
      [['remove', 'LAMP', '--clear-at', '5']],
      [['shout']],
    ])('are not understood in %j', async (args) => {
      const command = app.get(ThresholdsCommand, { strict: false });
      await expect(command.run(args, {} as Terminal)).rejects.toThrow(UsageError);
    });

    it('say which one there is not', async () => {
      await expect(run('remove', 'LAMP')).rejects.toThrow('There is no threshold for LAMP.');
    });
  });
});
