import { z } from 'zod';
import { Id, IsoDate } from '../../platform/http/fields';
import type { Candidate, Explanation as Answer } from '../contract/queries';
import { AllocatedLine, lineExample } from './line.schema';

const message = z.string().describe('In a sentence for a person.');

const CandidateBatch = z
  .object({
    batchRef: Id,
    eta: IsoDate.nullable().describe('When it arrives; null: it is in the warehouse.'),
    available: z.int().describe('Units that are not promised, before the allocation.'),
    chosen: z.boolean(),
    passedOver: z
      .object({
        reason: z.enum(['too-small', 'less-preferred', 'kept-for-backorders', 'line-stands']),
        rule: z
          .string()
          .nullable()
          .describe('The preference by which the chosen batch is better; null unless less-preferred.'),
        message,
      })
      .nullable()
      .describe('Why it was not chosen; null for the chosen one.'),
  })
  .meta({ id: 'CandidateBatch', description: 'A batch that was looked at.' }) satisfies z.ZodType<Candidate>;

export const Explanation = z
  .object({
    allocation: AllocatedLine,
    policy: z.string().describe('The policy that ranks the batches.'),
    reason: z
      .enum(['best-fit', 'stands', 'nothing-fits', 'backorders-first'])
      .describe(
        'best-fit: the first batch in order of preference that can take the whole line; stands: the line is promised or waits ' +
          'already; backorders-first: what is left is kept for those who wait with this priority or a higher one.',
      ),
    decidedBy: z
      .string()
      .nullable()
      .describe(
        'The preference that put the chosen batch before the next that fits; null if there was no such choice.',
      ),
    message,
    candidates: z
      .array(CandidateBatch)
      .describe('The open batches, and the one that the line is promised from, in order of preference.'),
  })
  .meta({
    id: 'Explanation',
    description: 'What an allocation would be answered with, and why.',
  }) satisfies z.ZodType<Answer>;

export type Explanation = z.output<typeof Explanation>;

/** An explanation as it appears in the documentation. */
export const explanationExample: Explanation = {
  allocation: { ...lineExample.promised, repeated: false },
  policy: 'warehouse-first',
  reason: 'best-fit',
  decidedBy: 'earliest eta',
  message: 'batch-2026-117 is the best batch that can take all 10: earliest eta.',
  candidates: [
    {
      batchRef: 'batch-2026-101',
      eta: null,
      available: 4,
      chosen: false,
      passedOver: { reason: 'too-small', rule: null, message: 'batch-2026-101 has 4 left, the line needs 10.' },
    },
    { batchRef: 'batch-2026-117', eta: '2026-12-24', available: 100, chosen: true, passedOver: null },
    {
      batchRef: 'batch-2026-118',
      eta: '2027-01-15',
      available: 80,
      chosen: false,
      passedOver: {
        reason: 'less-preferred',
        rule: 'earliest eta',
        message: 'batch-2026-117 is preferred to batch-2026-118: earliest eta.',
      },
    },
  ],
};
