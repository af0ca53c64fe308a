import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { EventSchemas, schemaOf } from '../../platform/feed/event-catalogue';
import { Eta, Id, Quantity, StockQuantity } from '../../platform/http/fields';
import {
  Allocated,
  Backordered,
  BatchCancelled,
  BatchCreated,
  BatchEtaChanged,
  BatchQuantityChanged,
  Deallocated,
  OutOfStock,
} from '../contract/events';

const batch = { ref: Id.describe('The batch.'), sku: Id };
const line = { orderId: Id, lineId: Id, sku: Id, qty: Quantity };
const eta = Eta.describe('When the batch arrives; null: it is in the warehouse.');
const priority = z.int32().describe('Higher goes first among the backorders of a SKU.');

@Injectable()
export class AllocationEvents extends EventSchemas {
  readonly events = [
    schemaOf(BatchCreated, z.object({ ...batch, qty: StockQuantity, eta }).describe('A batch was taken into account.')),
    schemaOf(
      BatchQuantityChanged,
      z
        .object({ ...batch, qty: StockQuantity, previousQty: StockQuantity })
        .describe('A batch turned out to hold `qty` units.'),
    ),
    schemaOf(
      BatchEtaChanged,
      z.object({ ...batch, eta, previousEta: Eta }).describe('A batch arrives, or has arrived, at another time.'),
    ),
    schemaOf(BatchCancelled, z.object(batch).describe('A batch will never come, or was recalled.')),
    schemaOf(
      Allocated,
      z
        .object({
          ...line,
          batchRef: Id,
          eta,
          priority,
          reason: z.enum(['requested', 'amended', 'backorder-served', 'reallocated']),
        })
        .describe('A line was promised from a batch.'),
    ),
    schemaOf(
      Deallocated,
      z
        .object({
          ...line,
          batchRef: Id.nullable().describe('null: it was not promised, but waited.'),
          reason: z.enum(['released', 'amended', 'batch-shrunk', 'batch-delayed', 'batch-cancelled']),
        })
        .describe('A line gave its promise back, or no longer waits.'),
    ),
    schemaOf(
      Backordered,
      z
        .object({
          ...line,
          priority,
          displaced: z.boolean().describe('It lost its promise, and goes before others of its priority.'),
          since: z.int().min(1).describe('The version of the SKU that tells its place among those.'),
          reason: z.enum(['out-of-stock', 'shortfall', 'amended']),
        })
        .describe('A line waits for stock.'),
    ),
    schemaOf(
      OutOfStock,
      z.object({ ...line, priority }).describe('A line was refused, because it fits into no batch.'),
    ),
  ];
}
