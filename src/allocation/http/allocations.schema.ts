import { z } from 'zod';
import { OrderId, Priority, requestedLine, WhenOutOfStock } from './line.schema';

export const AllocationRequest = z
  .strictObject({
    orderId: OrderId,
    ...requestedLine,
    whenOutOfStock: WhenOutOfStock.optional(),
    priority: Priority.optional(),
  })
  .meta({
    id: 'AllocationRequest',
    description: 'An order line that is to be promised.',
    examples: [{ orderId: 'order-1001', sku: 'SMALL-TABLE', qty: 10 }],
  });

export type AllocationRequest = z.output<typeof AllocationRequest>;
