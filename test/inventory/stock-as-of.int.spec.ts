import * as fc from 'fast-check';
import {
  GetStockAsOf,
  type LinePlace,
  ListPromises,
  type PromisedLine,
  type Stock,
} from '../../src/inventory/contract/queries';
import { replay } from '../../src/inventory/queries/replay';
import { GetStockAsOfHandler, ListPromisesHandler } from '../../src/inventory/queries/stock-as-of.query';
import type { Queryable } from '../../src/platform/database/database';
import { readStream } from '../../src/platform/event-log/event-log-reader';
import { currentContext, inContext } from '../../src/platform/request-context';
import { line } from '../support/allocation-commands';
import { histories, type Moment, played, skus, stage } from './histories';

const farFuture = '9999-12-31T23:59:59Z';

describe('The stock as of an instant', () => {
  const on = stage();

  const stockAsOf = (sku: string, instant: string): Promise<Stock | null> =>
    new GetStockAsOfHandler(on.database).execute(new GetStockAsOf(sku, instant));

  /** All pages of promises. */
  async function promisesAsOf(sku: string, instant?: string): Promise<{ version: number; lines: PromisedLine[] }> {
    const lines: PromisedLine[] = [];
    for (let from: LinePlace | undefined; ;) {
      const page = await new ListPromisesHandler(on.database).execute(new ListPromises(sku, 2, from, instant));
      lines.push(...page!.lines);
      if (page!.next === null) return { version: page!.version, lines };
      from = page!.next;
    }
  }

  const withoutLateness = ({ batches, ...stock }: Stock) => ({
    ...stock,
    batches: batches.map(({ late: _, ...batch }) => batch),
  });

  it('is what the rows showed then, at every version, and is what they show now', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const moments = await played(history, on);
        for (const { sku, version, occurredAt, numbers, batches, promises } of moments) {
          const stock = await stockAsOf(sku, occurredAt);
          expect(withoutLateness(stock!)).toMatchObject({ sku, version, ...numbers, batches });
          expect(await promisesAsOf(sku, occurredAt)).toEqual({ version, lines: promises });
        }
        for (const sku of skus) {
          const now: Moment | undefined = moments.findLast((moment) => moment.sku === sku);
          const stock = await stockAsOf(sku, farFuture);
          if (!now) expect(stock).toBeNull();
          else {
            const { version, numbers, batches, promises } = now;
            expect(withoutLateness(stock!)).toMatchObject({ version, ...numbers, batches });
            expect(await promisesAsOf(sku)).toEqual({ version, lines: promises });
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  describe('of a SKU with a past', () => {
    const at = (version: number): string => `2026-03-0${version}T12:00:00Z`;

    const justBefore = (version: number): string => `2026-03-0${version}T11:59:59.999999Z`;

    beforeAll(async () => {
      await on.commands.createBatch('chair-1', 'CHAIR', 10, '2026-03-02');
      await on.commands.allocate(line('o1', 'CHAIR', 4));
      await on.commands.changeBatch('chair-1', { eta: null });
      await on.client.query(`
        UPDATE platform.event SET occurred_at = timestamptz '${at(1)}' + (version - 1) * interval '1 day'
        WHERE stream = 'product:CHAIR'`);
    });

    it('is nothing before its first event', async () => {
      expect(await stockAsOf('CHAIR', justBefore(1))).toBeNull();
      const early = new ListPromises('CHAIR', 9, undefined, justBefore(1));
      expect(await new ListPromisesHandler(on.database).execute(early)).toBeNull();
      expect(await stockAsOf('NEVER', farFuture)).toBeNull();
    });

    it('includes what happened at that very instant, to the microsecond', async () => {
      expect(await stockAsOf('CHAIR', justBefore(2))).toMatchObject({ version: 1, promised: 0 });
      expect(await stockAsOf('CHAIR', at(2))).toMatchObject({ version: 2, promised: 4, inbound: 10, onHand: 0 });
      expect(await stockAsOf('CHAIR', justBefore(3))).toMatchObject({ version: 2 });
      expect(await stockAsOf('CHAIR', at(3))).toMatchObject({ version: 3, inbound: 0, onHand: 10 });
    });

    it('tells the date of a promise as it was known then', async () => {
      const promised = { orderId: 'o1', lineId: '1', qty: 4, batchRef: 'chair-1' };
      expect((await promisesAsOf('CHAIR', at(2))).lines).toEqual([{ ...promised, eta: '2026-03-02' }]);
      expect((await promisesAsOf('CHAIR', at(3))).lines).toEqual([{ ...promised, eta: null }]);
    });

    it('finds batches late by the day of the instant, and by today for an instant to come', async () => {
      expect(await stockAsOf('CHAIR', at(2))).toMatchObject({ lateUnits: 0 });
      expect(await stockAsOf('CHAIR', '2026-03-03T00:00:00Z')).toMatchObject({
        lateUnits: 10,
        batches: [{ late: true }],
      });
      await on.commands.createBatch('desk-1', 'DESK', 3, '9000-01-01');
      expect(await stockAsOf('DESK', farFuture)).toMatchObject({ lateUnits: 0, batches: [{ late: false }] });
    });
  });

  it('reads a stream a chunk at a time, and of what came later one chunk at most', async () => {
    await on.client.query(`
      INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
      SELECT 'thing:long', n, gen_random_uuid(), 'a.thing.v1', '{}', timestamptz '2026-01-01T00:00:00Z' + n * interval '1 s', 'x'
      FROM generate_series(1, 10000) AS n`);
    let queries = 0;
    const counting: Queryable = {
      query: (statement, values) => {
        queries += 1;
        return on.database.query(statement, values);
      },
    };
    const chunks = async (upTo?: string): Promise<number[]> => {
      queries = 0;
      const sizes: number[] = [];
      let last = 0;
      for await (const events of readStream(counting, 'thing:long', upTo)) {
        sizes.push(events.length);
        for (const { version } of events) expect(version).toBe((last += 1));
      }
      return sizes;
    };
    expect(await chunks('2026-01-01T00:20:00Z')).toEqual([1000, 200]);
    expect(queries).toBe(2);
    expect(await chunks()).toEqual(Array.from({ length: 10 }, () => 1000));
    expect(await chunks('2025-12-31T23:59:59Z')).toEqual([]);
  });

  it('reads no further when nobody waits for the answer any more', async () => {
    await on.client.query(`
      INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
      SELECT 'product:LEFT', n, gen_random_uuid(), 'allocation.out-of-stock.v1',
             '{"orderId": "o", "lineId": "1", "sku": "LEFT", "qty": 1, "priority": 0}', now(), 'x'
      FROM generate_series(1, 5000) AS n`);
    const read = async (chunksUntilTheyLeft: number): Promise<number> => {
      let chunks = 0;
      const context = { ...currentContext(), isAbandoned: () => chunks >= chunksUntilTheyLeft };
      await inContext(context, async () => {
        for await (const changes of replay(on.database, 'LEFT')) {
          expect(changes).toHaveLength(1000);
          chunks += 1;
        }
      });
      return chunks;
    };
    expect(await read(6)).toBe(5);
    // More often than there are turns: whoever left has given his back.
    for (let time = 0; time < 5; time += 1) await expect(read(2)).rejects.toThrow('Nobody waits');
    expect(await read(6)).toBe(5);
  });

  it('is worked out for so many at once, and the others wait', async () => {
    const open = await Promise.all(
      [1, 2].map(async () => {
        const reading = replay(on.database, 'LEFT');
        await reading.next();
        return reading;
      }),
    );
    let came = false;
    const third = replay(on.database, 'LEFT');
    const next = third.next().then(() => (came = true));
    await on.database.query({ text: 'SELECT 1' });
    expect(came).toBe(false);
    await open[0]!.return(undefined);
    await next;
    for (const reading of [...open, third]) await reading.return(undefined);
  });
});
