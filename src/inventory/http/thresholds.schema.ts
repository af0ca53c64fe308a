import { z } from 'zod';
import { CursorText, Id, Limit, StockQuantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';
import type { ThresholdState } from '../contract/queries';

/** A SKU, or what SKUs look like: their characters, and asterisks of which no two follow one another. */
export const SkuPattern = z
  .string()
  .regex(
    /^(?:\*|(?:[A-Za-z0-9]|\*[A-Za-z0-9._:-])(?:\*?[A-Za-z0-9._:-]){0,63}\*?)$/,
    '1 to 64 letters, digits and . _ : - are allowed as in a SKU, and between them single * for any characters or none',
  )
  .describe('A SKU, or a pattern of SKUs: `*` stands for any characters, or none.');

const ReorderPoint = StockQuantity.describe(
  'Stock is low when this many units can be promised, or fewer; inbound ones count.',
);
const ClearAt = z.int().min(1).describe('Stock that is low has recovered when this many units can be promised.');

export const ThresholdRequest = z
  .strictObject({
    reorderPoint: ReorderPoint,
    clearAt: ClearAt.optional().describe(
      'Stock that is low has recovered when this many units can be promised; above the reorder point. Not given: a tenth ' +
        'more than the reorder point, at least one unit.',
    ),
  })
  .meta({ id: 'ThresholdRequest', description: 'When stock is low.', examples: [{ reorderPoint: 20, clearAt: 30 }] });

export type ThresholdRequest = z.output<typeof ThresholdRequest>;

export const Threshold = z.object({ pattern: SkuPattern, reorderPoint: ReorderPoint, clearAt: ClearAt }).meta({
  id: 'Threshold',
  description: 'When stock of the SKUs that match is low.',
}) satisfies z.ZodType<ThresholdState>;

export const ThresholdListQuery = z.strictObject({
  limit: Limit.describe('How many thresholds the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type ThresholdListQuery = z.output<typeof ThresholdListQuery>;

export const ThresholdPlace = z.strictObject({ pattern: SkuPattern });

export const ThresholdPage = z
  .object({
    thresholds: z.array(Threshold),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'ThresholdPage', description: 'Thresholds in order of their patterns.' });

export type ThresholdPage = z.output<typeof ThresholdPage>;

export const Sku = Id.describe('The stock keeping unit.');

const ofSku: ThresholdState = { pattern: 'SMALL-TABLE', reorderPoint: 20, clearAt: 30 };
const ofMany: ThresholdState = { pattern: 'TABLE-*', reorderPoint: 50, clearAt: 55 };

/** Thresholds as they appear in the documentation. */
export const thresholdExample = {
  ofSku,
  ofMany,
  page: { thresholds: [ofSku, ofMany], next: 'eyJwYXR0ZXJuIjoiVEFCTEUtKiJ9' },
};

export const unknownThreshold = problem(404, 'unknown-threshold', 'There is no threshold for SMALL-TABLE.', {
  pattern: 'SMALL-TABLE',
});
export const invalidClearAt = problem(
  400,
  'invalid-clear-at',
  'Stock that is low at 20 cannot have recovered at 20: clearAt must be higher.',
  { reorderPoint: 20, clearAt: 20 },
);
