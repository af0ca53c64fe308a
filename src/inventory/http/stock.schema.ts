import { z } from 'zod';
import type { Availability, Stock, StockLevels } from '../contract/queries';
import { CursorText, Eta, Id, Instant, IsoDate, Limit, Quantity, StockQuantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';

const units = z.int().min(0);
const asOf = Instant.optional().describe(
  'As it was at this instant, by the history of the SKU; now, if it is not given.',
);

export const StockSku = Id.describe('The stock keeping unit.');

export const StockListQuery = z.strictObject({
  status: z
    .enum(['low', 'out', 'late'])
    .optional()
    .describe(
      'Only SKUs that are low by their threshold (`low`), of which nothing is available (`out`), or of which a batch is late ' +
        '(`late`: its ETA lies before today, UTC, and it has not arrived).',
    ),
  sort: z
    .enum(['sku', 'available', '-available', 'nextArrival'])
    .default('sku')
    .describe('`-available`: most first. `nextArrival`: SKUs of which nothing is inbound come last.'),
  limit: Limit.describe('How many SKUs the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type StockListQuery = z.output<typeof StockListQuery>;

export const StockQuery = z.strictObject({ asOf });

export type StockQuery = z.output<typeof StockQuery>;

export const AvailabilityQuery = z.strictObject({
  from: IsoDate.optional().describe('The first day; by default today, in UTC.'),
  to: IsoDate.optional().describe('The last day; by default 30 days after the first. 366 days at most.'),
  qty: z.coerce
    .number()
    .int()
    .min(1)
    .max(2_147_483_647)
    .default(1)
    .describe('Units of the line that `earliest` is about; a line is never split.'),
  asOf,
});

export type AvailabilityQuery = z.output<typeof AvailabilityQuery>;

/** Where a SKU stands, as a cursor says it. */
export const StockPlace = z.strictObject({ sku: Id, available: z.int(), nextArrival: Eta });

const levels = {
  sku: Id,
  version: units.describe('The version of the SKU that this shows: its last event that was taken into account.'),
  onHand: units.describe('Purchased and in the warehouse.'),
  inbound: units.describe('Purchased and on the way, late or not.'),
  promised: units.describe('Promised to order lines, from the warehouse or from what is inbound.'),
  available: z.int().describe('What is left: onHand + inbound - promised.'),
  backordered: units.describe('Units of order lines that wait for stock.'),
  nextArrival: Eta.describe('The earliest ETA, a past one if that batch is late; null: nothing is inbound.'),
  lateUnits: units.describe('Those of `inbound` whose ETA has passed without their arrival.'),
};

/** Batches that the stock of a SKU is shown with: they are kept for ever, and an answer has to end. */
export const mostBatches = 1_000;

const late = z.boolean().describe('Its ETA lies before today (UTC), and it has not arrived.');

export const StockLevelsOfSku = z
  .object(levels)
  .meta({ id: 'StockLevels', description: 'How much there is of a SKU; cancelled batches do not count.' });

export const StockPage = z
  .object({
    stock: z.array(StockLevelsOfSku),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'StockPage', description: 'SKUs and how much there is of them.' });

export type StockPage = z.output<typeof StockPage>;

export const StockOfSku = z
  .object({
    ...levels,
    batchCount: units.describe('How many batches there are.'),
    batches: z
      .array(
        z
          .object({
            ref: Id,
            sku: Id,
            purchased: StockQuantity,
            promised: StockQuantity,
            available: z.int().describe('What is left: purchased - promised; 0 of a cancelled batch.'),
            eta: Eta.describe('When it arrives; null: it is in the warehouse.'),
            cancelled: z.boolean().describe('It will never come, or was recalled.'),
            late,
          })
          .meta({ id: 'StockBatch', description: 'A batch of stock and what is left of it.' }),
      )
      .describe(
        `In order of reference, cancelled ones included. Of more than ${mostBatches}, those are left out first that are closed: ` +
          'cancelled, or in the warehouse and used up.',
      ),
  })
  .meta({ id: 'Stock', description: 'How much there is of a SKU, batch by batch.' });

export type StockOfSku = z.output<typeof StockOfSku>;

export const AvailabilityOfSku = z
  .object({
    sku: Id,
    version: levels.version,
    from: IsoDate,
    to: IsoDate,
    backordered: levels.backordered,
    free: z
      .array(
        z
          .object({
            batchRef: Id,
            units: z.int().min(1).describe('Units of the batch that nobody was promised.'),
            eta: Eta.describe('When the batch arrives; null: it is in the warehouse.'),
            late,
            countedFrom: IsoDate.describe('The first day on which they count.'),
          })
          .meta({ id: 'FreeUnits', description: 'Units that nobody was promised, and since when they count.' }),
      )
      .describe('Where the units come from that count by `to`: the warehouse first, then by ETA.'),
    days: z
      .array(
        z
          .object({
            date: IsoDate,
            available: z.int().describe('Units that are free on this day, those of the days before included.'),
            largestLine: z.int().describe('The most units that a single batch has free on this day.'),
          })
          .meta({ id: 'AvailableDay', description: 'What is free on a day.' }),
      )
      .describe('Every day from `from` to `to`.'),
    earliest: z
      .object({
        qty: Quantity,
        batchRef: Id.nullable().describe('The batch that the line would be promised from now; null: there is none.'),
        date: IsoDate.nullable().describe('The first day on which the line can be had; null: it cannot be promised.'),
      })
      .meta({ id: 'EarliestLine', description: 'When a line, which is never split, can be had.' }),
  })
  .meta({ id: 'Availability', description: 'What is free of a SKU on each day: available to promise.' });

export type AvailabilityOfSku = z.output<typeof AvailabilityOfSku>;

const table: StockLevels = {
  sku: 'SMALL-TABLE',
  version: 41,
  onHand: 20,
  inbound: 10,
  promised: 18,
  available: 12,
  backordered: 0,
  nextArrival: '2026-12-24',
  lateUnits: 0,
};
const batch = { sku: 'SMALL-TABLE', cancelled: false, late: false };
const stock: Stock = {
  ...table,
  batchCount: 2,
  batches: [
    { ...batch, ref: 'batch-2026-117', purchased: 10, promised: 0, available: 10, eta: '2026-12-24' },
    { ...batch, ref: 'batch-2026-98', purchased: 20, promised: 18, available: 2, eta: null },
  ],
};
const availability: Availability = {
  sku: 'SMALL-TABLE',
  version: 41,
  from: '2026-12-23',
  to: '2026-12-24',
  backordered: 0,
  free: [
    { batchRef: 'batch-2026-98', units: 2, eta: null, late: false, countedFrom: '2026-12-23' },
    { batchRef: 'batch-2026-117', units: 10, eta: '2026-12-24', late: false, countedFrom: '2026-12-24' },
  ],
  days: [
    { date: '2026-12-23', available: 2, largestLine: 2 },
    { date: '2026-12-24', available: 12, largestLine: 10 },
  ],
  earliest: { qty: 10, batchRef: 'batch-2026-117', date: '2026-12-24' },
};

/** Stock as it appears in the documentation. */
export const stockExample = {
  page: {
    stock: [table],
    next: 'eyJza3UiOiJTTUFMTC1UQUJMRSIsImF2YWlsYWJsZSI6MTIsIm5leHRBcnJpdmFsIjoiMjAyNi0xMi0yNCJ9',
  },
  stock: stock as StockOfSku,
  availability: availability as AvailabilityOfSku,
};

export const unknownSku = problem(404, 'unknown-sku', 'Nothing is known of SMALL-TABLE.', { sku: 'SMALL-TABLE' });
export const invalidRange = problem(
  400,
  'invalid-range',
  'From 2026-12-24 to 2026-12-23 is no range of 1 to 366 days.',
  { from: '2026-12-24', to: '2026-12-23', mostDays: 366 },
);
