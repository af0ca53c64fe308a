import { z } from 'zod';
import { Id, IsoDate, Quantity, StockQuantity } from '../../platform/http/fields';

/** The date part of an ISO date or datetime; what follows the date must be a time of day. */
const DateOrDatetime = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?$/,
    'an ISO date or datetime is allowed',
  )
  .transform((text) => text.slice(0, 10))
  .pipe(IsoDate);

export const BookBatch = z.object({ ref: Id, sku: Id, qty: StockQuantity, eta: DateOrDatetime.nullish() }).meta({
  id: 'BookBatch',
  description: 'A batch as the book sends it; further members are ignored.',
  examples: [{ ref: 'batch-001', sku: 'SMALL-TABLE', qty: 100, eta: '2026-12-24' }],
});

export type BookBatch = z.output<typeof BookBatch>;

export const BookLine = z.object({ orderid: Id, sku: Id, qty: Quantity }).meta({
  id: 'BookLine',
  description: 'An order line as the book sends it; further members are ignored.',
  examples: [{ orderid: 'order-1001', sku: 'SMALL-TABLE', qty: 10 }],
});

export type BookLine = z.output<typeof BookLine>;

export const BookAllocations = z
  .array(z.object({ sku: Id, batchref: Id }))
  .meta({ id: 'BookAllocations', description: 'The lines of an order that are promised.' });

export type BookAllocations = z.output<typeof BookAllocations>;

export const BookError = z
  .object({ message: z.string() })
  .meta({ id: 'BookError', description: 'An error as the book tells it.' });
