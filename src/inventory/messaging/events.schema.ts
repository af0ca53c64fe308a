import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { EventSchemas, schemaOf } from '../../platform/feed/event-catalogue';
import { Id, StockQuantity } from '../../platform/http/fields';
import { StockLow, StockRecovered, ThresholdRemoved, ThresholdSet } from '../contract/events';

const pattern = z.string().describe('A SKU, or a pattern of SKUs: `TABLE-*`.');
const reorderPoint = StockQuantity.describe('Stock is low when this many units can be promised, or fewer.');
const clearAt = z.int().min(1).describe('Stock that is low has recovered when this many units can be promised.');

const sighting = {
  sku: Id,
  available: z.int().describe('Units that can still be promised, inbound ones included.'),
  skuVersion: z.int().min(0).describe('The version of the SKU at which it was seen.'),
};

@Injectable()
export class InventoryEvents extends EventSchemas {
  readonly events = [
    schemaOf(
      ThresholdSet,
      z.object({ pattern, reorderPoint, clearAt }).describe('When stock of the SKUs that match is low.'),
    ),
    schemaOf(
      ThresholdRemoved,
      z.object({ pattern }).describe('The threshold no longer says anything about the SKUs that match.'),
    ),
    schemaOf(
      StockLow,
      z
        .object({ ...sighting, reorderPoint, clearAt, pattern })
        .describe('Stock of a SKU has fallen to its reorder point, or below.'),
    ),
    schemaOf(
      StockRecovered,
      z
        .object({ ...sighting, clearAt: clearAt.nullable().describe('null: no threshold applies any more.') })
        .describe('Stock of a SKU that was low has recovered.'),
    ),
  ];
}
