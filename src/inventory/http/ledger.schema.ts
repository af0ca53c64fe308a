import { z } from 'zod';
import { CursorText, Eta, Id, Instant, Limit, Quantity } from '../../platform/http/fields';
import type { LedgerEntry as Entry, PromisedLine as Line } from '../contract/queries';

const AsOf = Instant.optional().describe(
  'As it was then, that moment included. A moment that is yet to come is now. A moment that has just passed may still be ' +
    'written to: what began before it may end after it.',
);
const Next = CursorText.nullable().describe('The cursor of the next page; null on the last.');
const Version = z.int().min(1);

export const LedgerQuery = z.strictObject({
  limit: Limit.describe('How many entries the page holds at most.'),
  order: z.enum(['asc', 'desc']).default('asc').describe('`asc`: the oldest first; `desc`: the newest first.'),
  cursor: CursorText.optional().describe('The `next` of the page before, which was asked for in the same way.'),
  asOf: AsOf,
});

export type LedgerQuery = z.output<typeof LedgerQuery>;

export const LedgerPlace = z.strictObject({ version: Version });

const StockNumbers = z
  .object({
    onHand: z.int().min(0).describe('Purchased, in the warehouse.'),
    inbound: z.int().min(0).describe('Purchased, with an ETA.'),
    promised: z.int().min(0).describe('Promised to order lines.'),
    available: z
      .int()
      .describe(
        'What is left: onHand + inbound - promised. Below zero while a change is under way: a batch shrinks, then lines go.',
      ),
    backordered: z.int().min(0).describe('Wanted by order lines that wait.'),
  })
  .meta({ id: 'StockNumbers', description: 'How much there is of a SKU, in units.' }) satisfies z.ZodType<
  Entry['before']
>;

const LedgerEntry = z
  .object({
    version: Version.describe('1, 2, 3 … without a gap.'),
    occurredAt: Instant.describe('Never before that of the version before.'),
    eventId: z.uuid().describe('The event, as it is delivered to others.'),
    type: z.string().describe('The type of the event.'),
    reason: z.string().describe('What happened and why, for a person.'),
    actor: z.string().describe('On whose behalf.'),
    correlationId: z.string().nullable().describe('Ties together everything that one request led to.'),
    causationId: z.string().nullable().describe('The request, or the event, that led to it directly.'),
    before: StockNumbers,
    after: StockNumbers,
  })
  .meta({
    id: 'LedgerEntry',
    description: 'A change of a SKU’s stock, or of who it is promised to.',
  }) satisfies z.ZodType<Entry>;

export const LedgerPage = z
  .object({ sku: Id, entries: z.array(LedgerEntry), next: Next })
  .meta({ id: 'LedgerPage', description: 'What happened to a SKU, and what that did to its stock.' });

export type LedgerPage = z.output<typeof LedgerPage>;

export const PromiseListQuery = z.strictObject({
  limit: Limit.describe('How many lines the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
  asOf: AsOf,
});

export type PromiseListQuery = z.output<typeof PromiseListQuery>;

export const PromisePlace = z.strictObject({ orderId: Id, lineId: Id });

const PromisedLine = z
  .object({
    orderId: Id,
    lineId: Id,
    qty: Quantity,
    batchRef: Id.describe('The batch that it is promised from.'),
    eta: Eta.describe('When that batch arrives, as it was known then; null: it is in the warehouse.'),
  })
  .meta({
    id: 'PromisedLine',
    description: 'An order line that was promised units of the SKU.',
  }) satisfies z.ZodType<Line>;

export const PromisePage = z
  .object({
    sku: Id,
    version: Version.describe('The version of the SKU that this shows.'),
    lines: z
      .array(PromisedLine)
      .describe('A page that is not the last may hold fewer than asked for; go on while there is a `next`.'),
    next: Next,
  })
  .meta({ id: 'PromisePage', description: 'Who a SKU is promised to, in order of order and line.' });

export type PromisePage = z.output<typeof PromisePage>;

const before = { onHand: 100, inbound: 50, promised: 20, available: 130, backordered: 0 };
const entry: Entry = {
  version: 17,
  occurredAt: '2026-11-20T08:15:42.318204Z',
  eventId: '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47',
  type: 'allocation.allocated.v1',
  reason: 'Line 1 of order order-1001 was promised 10 units of batch batch-2026-117, as requested.',
  actor: 'shop',
  correlationId: '0199f4b2-6e1a-7f00-8a3e-8d0c41b2f9aa',
  causationId: '0199f4b2-6e1a-7f00-8a3e-8d0c41b2f9aa',
  before,
  after: { ...before, promised: 30, available: 120 },
};
const line: Line = { orderId: 'order-1001', lineId: '1', qty: 10, batchRef: 'batch-2026-117', eta: null };

/** Ledgers and promises as they appear in the documentation. */
export const ledgerExample = {
  page: { sku: 'SMALL-TABLE', entries: [entry], next: 'eyJ2ZXJzaW9uIjoxN30' },
  promises: {
    sku: 'SMALL-TABLE',
    version: 17,
    lines: [line],
    next: 'eyJvcmRlcklkIjoib3JkZXItMTAwMiIsImxpbmVJZCI6IjEifQ',
  },
};
