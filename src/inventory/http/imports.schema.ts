import { z } from 'zod';
import { CursorText, Eta, Id, Limit, Quantity, StockQuantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';
import type { ImportPlan } from '../messaging/import-work';
import type { ImportState } from '../messaging/imports';

const flag = z.enum(['true', 'false']).default('false');

export const ImportQuery = z.strictObject({
  dryRun: flag.describe('true: nothing is applied; the answer is what would happen.'),
  again: flag.describe('true: applied although the same content was applied before.'),
  name: z
    .string()
    .regex(/^[^\x00-\x1f\x7f]{1,200}$/, '1 to 200 characters are allowed, and no control characters')
    .default('upload')
    .describe('What people call the file.'),
});

export type ImportQuery = z.output<typeof ImportQuery>;

export const ImportId = z.uuid().describe('The import.');

export const RejectsQuery = z.strictObject({
  limit: Limit.describe('How many rejected rows the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type RejectsQuery = z.output<typeof RejectsQuery>;

export const RejectPlace = z.strictObject({ line: z.int() });

const line = z.int().min(1).describe('The line of the file that the row begins in.');
const count = z.int().min(0);
const units = StockQuantity.describe('Units.');
const eta = Eta.describe('When it arrives; null: it is in the warehouse.');

const tally = {
  created: count.describe('Batches that are new.'),
  changed: count.describe('Batches with another quantity or ETA.'),
  unchanged: count.describe('Rows that say what is known.'),
  rejected: count.describe('Rows that cannot be applied.'),
};

const importState = {
  id: ImportId,
  file: z.string().describe('What people call it.'),
  status: z
    .enum(['receiving', 'applying', 'applied', 'repeated', 'aborted'])
    .describe('repeated: its content was applied before, by the import `repeats`; aborted: nothing of it was applied.'),
  rows: count.describe('Rows that were received so far.'),
  ...tally,
  repeats: ImportId.nullable().describe('The import of the same content; null unless `repeated`.'),
  reason: z.string().nullable().describe('Why it was aborted; null otherwise.'),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
};

export const Import = z
  .object(importState)
  .meta({ id: 'Import', description: 'How far a supplier’s file is applied.' }) satisfies z.ZodType<ImportState>;

const RejectedRow = z
  .object({
    line,
    ref: Id.nullable().describe('The batch; null if the row could not be understood.'),
    reason: z.string(),
  })
  .meta({ id: 'RejectedRow', description: 'A row that was not applied.' });

export const ImportWithRejects = z
  .object({
    ...importState,
    rejects: z.array(RejectedRow).describe('Rejected rows in the order of the file: a page of them.'),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'ImportWithRejects', description: 'How far a supplier’s file is applied, and what was rejected.' });

export type ImportWithRejects = z.output<typeof ImportWithRejects>;

const batch = z.object({ ref: Id, sku: Id, qty: units, eta });

const Standing = z
  .object({
    orderId: Id,
    lineId: Id,
    sku: Id,
    qty: Quantity,
    status: z.enum(['promised', 'backordered', 'refused']),
    batchRef: Id.nullable(),
    eta: Eta,
    priority: z.int32(),
  })
  .nullable();

export const Plan = z
  .object({
    ...tally,
    actions: z
      .array(
        z.discriminatedUnion('kind', [
          z.object({ line, kind: z.literal('create'), batch }),
          z.object({
            line,
            kind: z.literal('change'),
            batch,
            change: z.object({ qty: units.optional(), eta: eta.optional() }).describe('What is different.'),
          }),
        ]),
      )
      .describe('The first batches, in the order of SKUs, that would be created or changed.'),
    rejects: z.array(RejectedRow).describe('The first rows, in the order of SKUs, that would be rejected.'),
    consequences: z
      .object({
        changes: count.describe('So many of the changes were looked at, the first ones in the order of SKUs.'),
        complete: z.boolean().describe('False: there are more changes than were looked at.'),
        gain: count.describe('Order lines that would get a promise.'),
        lose: count.describe('Order lines that would lose their promise.'),
        move: count.describe('Order lines that would be promised from another batch, or for another date.'),
        lines: z
          .array(
            z.object({
              orderId: Id,
              lineId: Id,
              sku: Id,
              before: Standing.describe('As it stands now.'),
              after: Standing.describe('As it would stand.'),
            }),
          )
          .describe('The first of these order lines.'),
      })
      .describe('What that would mean for orders.'),
  })
  .meta({
    id: 'ImportPlan',
    description: 'What an import would do; nothing is stored.',
  }) satisfies z.ZodType<ImportPlan>;

export const ImportAnswer = z
  .union([Import, Plan])
  .meta({ id: 'ImportAnswer', description: 'An import that is over; of a dry run, what it would do.' });

const id = '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47';
const received: ImportState = {
  id,
  file: 'stock-2026-11.csv',
  status: 'applying',
  rows: 1200,
  ...{ created: 0, changed: 0, unchanged: 0, rejected: 0 },
  ...{ repeats: null, reason: null, startedAt: '2026-11-22T09:30:00.000Z', finishedAt: null },
};
const applied: ImportState = {
  ...received,
  status: 'applied',
  ...{ created: 1000, changed: 120, unchanged: 79, rejected: 1 },
  finishedAt: '2026-11-22T09:30:02.000Z',
};
const reject = { line: 17, ref: 'batch-2026-117', reason: 'batch-2026-117 was cancelled' };
/** Imports as they appear in the documentation. */
export const importExample = {
  received,
  applied,
  progress: { ...applied, rejects: [reject], next: null },
  csv: 'ref,sku,qty,eta\r\nbatch-2026-131,SMALL-TABLE,100,2026-12-24\r\nbatch-2026-132,SMALL-TABLE,40,\r\n',
};

export const unknownImport = problem(404, 'unknown-import', `There is no import ${id}.`, { id });
export const unreadableFile = problem(
  400,
  'unreadable-file',
  'The file cannot be read: the first line must name the columns ref,sku,qty,eta; it is empty.',
);
export const notCsv = problem(415, 'unsupported-media-type', 'The body must be sent as text/csv.');
export const importAborted = problem(
  409,
  'import-aborted',
  'Nothing came for so long that the import was aborted; send the file again.',
);
