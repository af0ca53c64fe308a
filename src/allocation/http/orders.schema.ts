import { z } from 'zod';
import { Quantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';
import {
  AllocatedLine,
  Line,
  LineStatus,
  lineExample,
  OrderId,
  Priority,
  requestedLine,
  WhenOutOfStock,
} from './line.schema';

const largestOrder = 1000;

export const OrderRequest = z
  .strictObject({
    orderId: OrderId,
    lines: z
      .array(z.strictObject(requestedLine))
      .min(1)
      .max(largestOrder)
      .check(({ value, issues }) => {
        const seen = new Set<string>();
        for (const [index, { sku, lineId }] of value.entries()) {
          const identity = `${sku} ${lineId}`;
          if (!seen.has(identity)) seen.add(identity);
          else
            issues.push({
              code: 'custom',
              input: value,
              path: [index],
              message: `${sku} is on an earlier line with the lineId ${lineId}; give each of them a lineId of its own`,
            });
        }
      }),
    mode: z
      .enum(['all-or-nothing', 'partial'])
      .optional()
      .describe('What to do when a line cannot be promised; all-or-nothing if not given.'),
    whenOutOfStock: WhenOutOfStock.optional(),
    priority: Priority.optional(),
  })
  .meta({
    id: 'OrderRequest',
    description: 'An order whose lines are to be promised in one step.',
    examples: [
      {
        orderId: 'order-1001',
        lines: [
          { sku: 'SMALL-TABLE', qty: 10 },
          { sku: 'RED-CHAIR', qty: 40 },
        ],
      },
    ],
  });

export type OrderRequest = z.output<typeof OrderRequest>;

export const AmendmentRequest = z
  .strictObject({ qty: Quantity.describe('Units that the line is to have.') })
  .meta({ id: 'AmendmentRequest', description: 'Another quantity for an order line.', examples: [{ qty: 12 }] });

export type AmendmentRequest = z.output<typeof AmendmentRequest>;

const LineProblem = z.object({ type: z.string(), title: z.string(), code: z.string(), detail: z.string() });

export const Order = z
  .object({ orderId: OrderId, lines: z.array(Line) })
  .meta({ id: 'Order', description: 'An order and where its lines stand.' });

export type Order = z.output<typeof Order>;

export const AllocatedOrder = z
  .object({ orderId: OrderId, lines: z.array(AllocatedLine) })
  .meta({ id: 'AllocatedOrder', description: 'What became of an order.' });

export const PartialOrder = z
  .object({
    orderId: OrderId,
    lines: z.array(
      z.object({
        ...AllocatedLine.shape,
        status: z.enum([...LineStatus.options, 'failed']).describe('failed: it was not tried; its problem says why.'),
        problem: LineProblem.optional().describe('Why the line is not promised and does not wait.'),
      }),
    ),
  })
  .meta({ id: 'PartialOrder', description: 'What became of the lines of an order, in the order of the request.' });

export type PartialOrder = z.output<typeof PartialOrder>;

const { promised, backordered } = lineExample;
const chairs = { ...promised, sku: 'RED-CHAIR', qty: 40, batchRef: 'batch-2026-101', eta: null };

/** Orders as they appear in the documentation. */
export const orderExample = {
  stands: { orderId: 'order-1001', lines: [chairs, promised] },
  promised: { orderId: 'order-1001', lines: [promised, chairs].map((line) => ({ ...line, repeated: false })) },
  repeated: { orderId: 'order-1001', lines: [promised, chairs].map((line) => ({ ...line, repeated: true })) },
  partial: {
    orderId: 'order-1001',
    lines: [
      { ...promised, repeated: false },
      {
        ...backordered,
        sku: 'RED-CHAIR',
        qty: 40,
        status: 'refused' as const,
        repeated: false,
        problem: lineProblem('out-of-stock', 'Out of stock for RED-CHAIR.'),
      },
    ],
  },
};

/** Why one line of an order was not promised; it has no HTTP status of its own. */
export function lineProblem(code: string, detail: string): z.output<typeof LineProblem> {
  const { type, title } = problem(409, code, detail);
  return { type, title, code, detail };
}

export const orderNotPromised = problem(
  409,
  'order-not-promised',
  'Nothing of order order-1001 was promised: 1 of its lines failed.',
  {
    orderId: 'order-1001',
    lines: [
      {
        orderId: 'order-1001',
        lineId: '1',
        sku: 'RED-CHAIR',
        qty: 40,
        code: 'out-of-stock',
        message: 'Out of stock for RED-CHAIR',
      },
    ],
  },
);
