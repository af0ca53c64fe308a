import * as fc from 'fast-check';
import { ExportLedger, GetLedger, type LedgerEntry, type LedgerPage } from '../../src/inventory/contract/queries';
import { ExportLedgerHandler, GetLedgerHandler } from '../../src/inventory/queries/ledger.query';
import { inContext } from '../../src/platform/request-context';
import { line } from '../support/allocation-commands';
import { histories, played, skus, stage } from './histories';

const nothing = { onHand: 0, inbound: 0, promised: 0, available: 0, backordered: 0 };

describe('The ledger of a SKU', () => {
  const on = stage();

  async function whole(sku: string, asOf?: string): Promise<LedgerEntry[]> {
    const entries: LedgerEntry[] = [];
    for await (const chunk of await new ExportLedgerHandler(on.database).execute(new ExportLedger(sku, asOf)))
      entries.push(...chunk);
    return entries;
  }

  const page = (...of: ConstructorParameters<typeof GetLedger>): Promise<LedgerPage | null> =>
    new GetLedgerHandler(on.database).execute(new GetLedger(...of));

  async function pages(sku: string, limit: number, order: 'asc' | 'desc', asOf?: string): Promise<LedgerEntry[]> {
    const entries: LedgerEntry[] = [];
    for (let behind: number | undefined; ;) {
      const { entries: some, next } = (await page(sku, limit, order, behind, asOf))!;
      entries.push(...some);
      if (next === null) return entries;
      expect(some).toHaveLength(limit);
      behind = next;
    }
  }

  it('goes from nothing to what the rows show, each entry from where the one before ended, whatever the pages', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.integer({ min: 1, max: 7 }), async (history, limit) => {
        const moments = await played(history, on);
        for (const sku of skus) {
          const ledger = await whole(sku);
          const ofSku = moments.filter((moment) => moment.sku === sku);
          expect(ledger.map(({ version }) => version)).toEqual(ledger.map((_, index) => index + 1));
          expect(ledger.map(({ before }) => before)).toEqual(
            [nothing, ...ledger.map(({ after }) => after)].slice(0, ledger.length),
          );
          for (const { version, numbers } of ofSku) expect(ledger[version - 1]!.after).toEqual(numbers);
          expect(ledger).toHaveLength(ofSku.at(-1)?.version ?? 0);
          if (ledger.length === 0) continue;
          expect(await pages(sku, limit, 'asc')).toEqual(ledger);
          expect(await pages(sku, limit, 'desc')).toEqual(ledger.toReversed());
          const middle = ofSku[Math.floor(ofSku.length / 2)]!;
          const early = ledger.slice(0, middle.version);
          expect(await whole(sku, middle.occurredAt)).toEqual(early);
          expect(await pages(sku, limit, 'desc', middle.occurredAt)).toEqual(early.toReversed());
        }
      }),
      { numRuns: 15 },
    );
  });

  it('says who, why, and what it did', async () => {
    const someone = { actor: 'shop', correlationId: 'request-1', causationId: 'request-1' };
    await inContext(someone, async () => {
      await on.commands.createBatch('mug-1', 'MUG', 10);
      await on.commands.createBatch('mug-2', 'MUG', 8, '2030-05-01');
      await on.commands.allocate(line('o1', 'MUG', 6));
      await on.commands.allocate(line('o2', 'MUG', 4));
      await on.commands.allocate(line('o3', 'MUG', 20));
      await on.commands.allocate(line('o4', 'MUG', 9), { whenOutOfStock: 'backorder', priority: -1 });
      await on.commands.changeBatch('mug-1', { qty: 7 });
      await on.commands.amendLine(line('o4', 'MUG', 1), 5);
      await on.commands.changeBatch('mug-2', { eta: '2030-06-01' });
      await on.commands.cancelBatch('mug-2');
      await on.commands.releaseOrder('o2');
      await on.commands.releaseOrder('o4');
    });
    const ledger = await whole('MUG');
    const [first] = ledger;
    expect(first).toEqual({
      version: 1,
      occurredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      eventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type: 'allocation.batch-created.v1',
      reason: 'Batch mug-1 of 10 units was taken into account, in the warehouse.',
      ...someone,
      before: nothing,
      after: { ...nothing, onHand: 10, available: 10 },
    });
    expect(
      ledger.map(({ reason, after: { onHand, inbound, promised, available, backordered } }) =>
        [onHand, inbound, promised, available, backordered, reason].join(' '),
      ),
    ).toMatchInlineSnapshot(`
      [
        "10 0 0 10 0 Batch mug-1 of 10 units was taken into account, in the warehouse.",
        "10 8 0 18 0 Batch mug-2 of 8 units was taken into account, due 2030-05-01.",
        "10 8 6 12 0 Line 1 of order o1 was promised 6 units of batch mug-1, as requested.",
        "10 8 10 8 0 Line 1 of order o2 was promised 4 units of batch mug-1, as requested.",
        "10 8 10 8 0 Line 1 of order o3 was refused 20 units, because it fits into no batch.",
        "10 8 10 8 9 Line 1 of order o4 waits for 9 units, because it fits into no batch.",
        "7 8 10 5 9 Batch mug-1 holds 7 units instead of 10.",
        "7 8 6 9 9 Line 1 of order o2 gave 4 units of batch mug-1 back, because the batch holds less.",
        "7 8 10 5 9 Line 1 of order o2 was promised 4 units of batch mug-2, in place of the promise that it lost.",
        "7 8 10 5 5 Line 1 of order o4 waits for 5 units, as amended.",
        "7 8 10 5 5 Batch mug-2 is due 2030-06-01 now.",
        "7 0 10 -3 5 Batch mug-2 was cancelled.",
        "7 0 6 1 5 Line 1 of order o2 gave 4 units of batch mug-2 back, because the batch was cancelled.",
        "7 0 6 1 9 Line 1 of order o2 waits for 4 units, because it lost its promise and fits into no other batch.",
        "7 0 6 1 5 Line 1 of order o2 no longer waits for 4 units.",
        "7 0 6 1 0 Line 1 of order o4 no longer waits for 5 units.",
      ]
    `);
  });

  it('has pages behind its end that are empty, and none if nothing is known', async () => {
    await on.commands.createBatch('pan-1', 'PAN', 3);
    expect(await page('PAN', 5, 'asc', 1)).toEqual({ sku: 'PAN', entries: [], next: null });
    expect(await page('PAN', 5, 'asc', 1_000_000)).toEqual({ sku: 'PAN', entries: [], next: null });
    expect(await page('PAN', 5, 'desc', 1)).toEqual({ sku: 'PAN', entries: [], next: null });
    expect(await page('PAN', 5, 'desc', 9)).toMatchObject({ entries: [{ version: 1 }], next: null });
    expect(await page('PAN', 5, 'asc', undefined, '2020-01-01T00:00:00Z')).toBeNull();
    expect(await page('NEVER', 5)).toBeNull();
    expect(await whole('NEVER')).toEqual([]);
  });

  it('is read over many chunks', async () => {
    await on.commands.createBatch('nail-1', 'NAIL', 100_000);
    await Promise.all(Array.from({ length: 1_600 }, (_, n) => on.commands.allocate(line(`n${n}`, 'NAIL', 2))));
    await Promise.all(Array.from({ length: 900 }, (_, n) => on.commands.releaseOrder(`n${n}`)));
    const ledger = await whole('NAIL');
    expect(ledger).toHaveLength(2_501);
    expect(ledger.at(-1)!.after).toMatchObject({ onHand: 100_000, promised: 1_400 });
    expect((await page('NAIL', 200, 'asc', 950))!.entries).toEqual(ledger.slice(950, 1_150));
    expect((await page('NAIL', 200, 'desc', 1_101))!.entries).toEqual(ledger.slice(900, 1_100).toReversed());
  });
});
