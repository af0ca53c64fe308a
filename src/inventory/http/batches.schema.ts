import { z } from 'zod';
import type { BatchChange, BatchCreation, BatchState } from '../../allocation/contract/commands';
import { CursorText, Eta, Id, IsoDate, Limit, Quantity, StockQuantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';

const eta = Eta.describe('When it arrives; null: it is in the warehouse.');
const units = 'Units, as bought or as found in the warehouse.';

export const BatchRef = Id.describe('Names the batch, and no other of any SKU, for ever.');

export const BatchRequest = z
  .strictObject({
    ref: BatchRef,
    sku: Id.describe('The stock keeping unit.'),
    qty: StockQuantity.describe(units),
    eta: eta.default(null),
  })
  .meta({
    id: 'BatchRequest',
    description: 'A batch of stock.',
    examples: [{ ref: 'batch-2026-117', sku: 'SMALL-TABLE', qty: 100, eta: '2026-12-24' }],
  });

export type BatchRequest = z.output<typeof BatchRequest>;

export const BatchChangeRequest = z
  .strictObject({ qty: StockQuantity.describe(units).optional(), eta: eta.optional() })
  .refine(({ qty, eta }) => qty !== undefined || eta !== undefined, 'at least one of qty and eta is needed')
  .meta({
    id: 'BatchChangeRequest',
    description: 'What is now known of a batch; what is not given stays as it is.',
    examples: [{ qty: 80 }],
    minProperties: 1,
  });

export type BatchChangeRequest = z.output<typeof BatchChangeRequest>;

export const BatchListQuery = z.strictObject({
  sku: Id.optional().describe('Only batches of this SKU.'),
  limit: Limit.describe('How many batches the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type BatchListQuery = z.output<typeof BatchListQuery>;

export const BatchPlace = z.strictObject({ sku: Id, ref: Id });

export const Batch = z
  .object({
    ref: Id,
    sku: Id,
    purchased: StockQuantity.describe(units),
    promised: StockQuantity.describe('Units promised to order lines.'),
    available: StockQuantity.describe('What is left: purchased - promised.'),
    eta,
    cancelled: z.boolean().describe('It will never come, or was recalled.'),
  })
  .meta({ id: 'Batch', description: 'A batch of stock and what is left of it.' }) satisfies z.ZodType<BatchState>;

export const BatchPage = z
  .object({
    batches: z.array(Batch),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'BatchPage', description: 'Batches in order of SKU and reference.' });

export type BatchPage = z.output<typeof BatchPage>;

const AffectedLine = z
  .object({
    orderId: Id,
    lineId: Id,
    sku: Id,
    qty: Quantity,
    status: z.enum(['promised', 'backordered', 'refused']),
    batchRef: Id.nullable().describe('The batch it is promised from; null unless promised.'),
    eta: IsoDate.nullable().describe('When that batch arrives; null for stock in the warehouse and unless promised.'),
    priority: z.int32().describe('Higher goes first among the backorders of a SKU.'),
  })
  .meta({ id: 'AffectedLine', description: 'An order line that a change of stock moved.' });

const promised = z.array(AffectedLine).describe('Backorders that could be served.');

export const CreatedBatch = z
  .object({ batch: Batch, created: z.boolean().describe('False: the same batch was there before.'), promised })
  .meta({
    id: 'CreatedBatch',
    description: 'A batch, and who got something of it at once.',
  }) satisfies z.ZodType<BatchCreation>;

export const ChangedBatch = z
  .object({
    batch: Batch,
    released: z.array(AffectedLine).describe('Lines that lost their promise from this batch, as they stood before.'),
    reallocated: z.array(AffectedLine).describe('Those of them that are promised again, as they stand now.'),
    shortfall: z.array(AffectedLine).describe('Those of them that fit nowhere and wait now.'),
    promised,
  })
  .meta({
    id: 'ChangedBatch',
    description: 'A batch after a change, and what that did to order lines.',
  }) satisfies z.ZodType<BatchChange>;

const batch: BatchState = {
  ref: 'batch-2026-117',
  sku: 'SMALL-TABLE',
  purchased: 100,
  promised: 10,
  available: 90,
  eta: '2026-12-24',
  cancelled: false,
};
const line = {
  orderId: 'order-1001',
  lineId: '1',
  sku: 'SMALL-TABLE',
  qty: 10,
  status: 'promised' as const,
  batchRef: 'batch-2026-117',
  eta: '2026-12-24',
  priority: 0,
};
const moved = {
  released: [line],
  reallocated: [{ ...line, batchRef: 'batch-2026-130', eta: '2027-01-15' }],
  shortfall: [],
  promised: [],
};

/** Batches as they appear in the documentation. */
export const batchExample = {
  batch,
  created: { batch: { ...batch, promised: 0, available: 100 }, created: true, promised: [] },
  repeated: { batch, created: false, promised: [] },
  page: { batches: [batch], next: 'eyJza3UiOiJTTUFMTC1UQUJMRSIsInJlZiI6ImJhdGNoLTIwMjYtMTE3In0' },
  changed: { batch: { ...batch, purchased: 5, promised: 0, available: 5 }, ...moved },
  cancelled: { batch: { ...batch, promised: 0, available: 0, cancelled: true }, ...moved },
};

export const unknownBatch = problem(404, 'unknown-batch', 'There is no batch batch-2026-117.', {
  ref: 'batch-2026-117',
});
export const batchExists = problem(409, 'batch-exists', 'Batch batch-2026-117 exists with other content.', {
  ref: 'batch-2026-117',
});
export const batchCancelled = problem(
  409,
  'batch-cancelled',
  'Batch batch-2026-117 was cancelled and can no longer be changed.',
  {
    ref: 'batch-2026-117',
  },
);
export const tooManyLines = problem(
  409,
  'too-many-lines',
  'The change would move more than 100000 order lines of SMALL-TABLE at once. Make it in smaller steps.',
  { sku: 'SMALL-TABLE', limit: 100_000 },
);
export const invalidCursor = problem(
  400,
  'invalid-cursor',
  'The cursor is not one that this service gave out; start from the first page.',
);
