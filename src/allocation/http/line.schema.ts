import { z } from 'zod';
import { problem } from '../../platform/http/problem';
import { Id, IsoDate, Quantity } from '../../platform/http/fields';
import type { Allocation, Release } from '../contract/commands';
import type { LineState } from '../contract/order-lines';

export const LineStatus = z
  .enum(['promised', 'backordered', 'refused'])
  .describe('refused: nothing fitted and nobody waits; the same request may succeed later.');

export const WhenOutOfStock = z
  .enum(['refuse', 'backorder'])
  .describe('What to do with a line that fits into no batch; refuse if not given.');

export const Priority = z.int32().describe('Higher goes first among the backorders of a SKU; 0 if not given.');

export const OrderId = Id.describe('The order, as its owner calls it.');
export const Sku = Id.describe('The stock keeping unit.');
export const LineId = Id.describe('Tells apart two lines of one order that name the same SKU.');

/** The members that tell lines apart and what is asked for; `lineId` is "1" unless it is given. */
export const requestedLine = {
  lineId: LineId.default('1'),
  sku: Sku,
  qty: Quantity.describe('Units.'),
};

const lineState = {
  orderId: OrderId,
  lineId: LineId,
  sku: Sku,
  qty: Quantity,
  status: LineStatus,
  batchRef: Id.nullable().describe('The batch it is promised from; null unless promised.'),
  eta: IsoDate.nullable().describe('When that batch arrives; null for stock in the warehouse and unless promised.'),
  priority: Priority.describe('Higher goes first among the backorders of a SKU.'),
};

export const Line = z
  .object(lineState)
  .meta({ id: 'Line', description: 'An order line and where it stands.' }) satisfies z.ZodType<LineState>;

export const AllocatedLine = z
  .object({ ...lineState, repeated: z.boolean().describe('It stood like this before; the request changed nothing.') })
  .meta({ id: 'AllocatedLine', description: 'What became of an order line.' }) satisfies z.ZodType<Allocation>;

export const ReleasedLines = z
  .object({
    released: z.array(Line).describe('Lines that were promised or waiting, as they stood before.'),
    promised: z.array(Line).describe('Backorders that could be served with what was given back.'),
  })
  .meta({ id: 'ReleasedLines', description: 'What was given back, and who got it.' }) satisfies z.ZodType<Release>;

/** Lines as they appear in the documentation. */
const promised: LineState = {
  orderId: 'order-1001',
  lineId: '1',
  sku: 'SMALL-TABLE',
  qty: 10,
  status: 'promised',
  batchRef: 'batch-2026-117',
  eta: '2026-12-24',
  priority: 0,
};
const backordered: LineState = { ...promised, status: 'backordered', batchRef: null, eta: null };
export const lineExample = { promised, backordered };

export const unknownSku = problem(404, 'unknown-sku', 'Invalid sku SMALL-TABEL', { sku: 'SMALL-TABEL' });
export const unknownOrder = problem(404, 'unknown-order', 'There is no order order-1001.', { orderId: 'order-1001' });
export const unknownLine = problem(404, 'unknown-line', 'Order order-1001 has no line 2 of SMALL-TABLE.', {
  orderId: 'order-1001',
  lineId: '2',
  sku: 'SMALL-TABLE',
});
export const outOfStock = problem(409, 'out-of-stock', 'Out of stock for SMALL-TABLE.', {
  line: { ...backordered, status: 'refused', repeated: false },
});
export const lineAlreadyAllocated = problem(
  409,
  'line-already-allocated',
  'Line 1 of order order-1001 is already promised with 10 of SMALL-TABLE; amend it to change the quantity.',
  { line: promised },
);
export const tooManyLines = problem(
  409,
  'too-many-lines',
  'The change would move more than 100000 order lines of SMALL-TABLE at once. Make it in smaller steps.',
  { sku: 'SMALL-TABLE', limit: 100_000 },
);
