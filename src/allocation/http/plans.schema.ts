import { z } from 'zod';
import { Eta, Id, Quantity, StockQuantity } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';
import {
  Allocate,
  AllocateOrder,
  AmendLine,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseLine,
  ReleaseOrder,
} from '../contract/commands';
import type { Change, Plan as PlanAnswer, PlannedOutcome } from '../contract/queries';
import { AllocationRequest } from './allocations.schema';
import { Line, lineExample, LineId, OrderId, Sku } from './line.schema';
import { OrderRequest } from './orders.schema';

const mostChanges = 100;
const mostOrderLines = 1000;
/** Lines of the answer. */
export const mostDifferences = 10_000;

const ref = Id.describe('The batch.');
const line = { orderId: OrderId, lineId: LineId.default('1'), sku: Sku };
const units = StockQuantity.describe('Units.');
const eta = Eta.describe('When it arrives; null: it is in the warehouse.');

const PlannedChange = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('allocate'), ...AllocationRequest.shape }),
    z.strictObject({ type: z.literal('allocate-order'), ...OrderRequest.shape }),
    z.strictObject({ type: z.literal('amend-line'), ...line, qty: Quantity }),
    z.strictObject({ type: z.literal('release-line'), ...line }),
    z.strictObject({ type: z.literal('release-order'), orderId: OrderId }),
    z.strictObject({ type: z.literal('create-batch'), ref, sku: Sku, qty: units, eta: eta.default(null) }),
    z
      .strictObject({ type: z.literal('change-batch'), ref, qty: units.optional(), eta: eta.optional() })
      .refine(
        (change) => change.qty !== undefined || change.eta !== undefined,
        'at least one of qty and eta is needed',
      ),
    z.strictObject({ type: z.literal('cancel-batch'), ref }),
  ])
  .meta({ id: 'PlannedChange', description: 'Something that might happen, as the request that would make it happen.' });

type PlannedChange = z.output<typeof PlannedChange>;

export const PlanRequest = z
  .strictObject({
    changes: z
      .array(PlannedChange)
      .min(1)
      .max(mostChanges)
      .refine(
        (changes) =>
          changes.reduce((sum, change) => sum + ('lines' in change ? change.lines.length : 0), 0) <= mostOrderLines,
        `the orders of a plan may have ${mostOrderLines} lines together`,
      )
      .describe('In their order. One that would be refused changes nothing, and the next goes on.'),
    policy: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('The policy that decides from which batch these changes promise; the one in force if not given.'),
  })
  .meta({
    id: 'PlanRequest',
    description: 'Changes that are to be tried, and are not made.',
    examples: [
      {
        changes: [
          { type: 'change-batch', ref: 'batch-2026-117', eta: '2027-01-07' },
          { type: 'allocate', orderId: 'order-1002', sku: 'SMALL-TABLE', qty: 20 },
        ],
      },
    ],
  });

export type PlanRequest = z.output<typeof PlanRequest>;

/** The command that would make a change happen. */
export function commandOf(change: PlannedChange): Change {
  switch (change.type) {
    case 'allocate': {
      const { orderId, lineId, sku, qty, whenOutOfStock, priority } = change;
      return new Allocate({ orderId, lineId, sku, qty }, { whenOutOfStock, priority });
    }
    case 'allocate-order': {
      const { orderId, lines, mode, whenOutOfStock, priority } = change;
      const ofOrder = lines.map((one) => ({ orderId, ...one }));
      return new AllocateOrder(orderId, ofOrder, { mode, whenOutOfStock, priority });
    }
    case 'amend-line': {
      const { orderId, lineId, sku, qty } = change;
      return new AmendLine({ orderId, lineId, sku }, qty);
    }
    case 'release-line': {
      const { orderId, lineId, sku } = change;
      return new ReleaseLine({ orderId, lineId, sku });
    }
    case 'release-order':
      return new ReleaseOrder(change.orderId);
    case 'create-batch':
      return new CreateBatch(change.ref, change.sku, change.qty, change.eta);
    case 'change-batch':
      return new ChangeBatch(change.ref, { qty: change.qty, eta: change.eta });
    case 'cancel-batch':
      return new CancelBatch(change.ref);
  }
}

const Outcome = z.object({
  number: z.int().describe('Which of the changes: 1, 2, 3 …'),
  type: z.string(),
  result: z
    .looseObject({})
    .nullable()
    .describe('What became of it, in the words of the contract; null if it would be refused.'),
  problem: z
    .looseObject({ type: z.string(), title: z.string(), code: z.string(), detail: z.string() })
    .nullable()
    .describe('Why it would be refused; then it would change nothing.'),
});

export const Plan = z
  .object({
    policy: z.string().describe('The policy that decided.'),
    outcomes: z.array(Outcome).describe('What would become of each change, in their order.'),
    lines: z
      .array(
        z.object({
          orderId: OrderId,
          lineId: LineId,
          sku: Sku,
          before: Line.nullable().describe('As it stands now; null: it is not known.'),
          after: Line.nullable().describe('As it would stand after all changes; null: it would be released.'),
        }),
      )
      .describe('Every order line that would stand otherwise than now, once: by SKU, order and line.'),
  })
  .meta({ id: 'Plan', description: 'What would happen. Nothing did.' });

export type Plan = z.output<typeof Plan>;

/** A plan as it is told, with its changes numbered and its problems in the words of HTTP. */
export function told({ policy, outcomes, lines }: PlanAnswer, { changes }: PlanRequest): Plan {
  return {
    policy,
    outcomes: outcomes.map(({ result, problem }, index) => ({
      number: index + 1,
      type: changes[index]!.type,
      result: result && { ...result },
      problem: problem && problemOf(problem),
    })),
    lines: [...lines],
  };
}

/** It has no HTTP status of its own. */
function problemOf({
  code,
  message,
  details,
}: NonNullable<PlannedOutcome['problem']>): Plan['outcomes'][number]['problem'] {
  const { type, title } = problem(409, code, message);
  return { ...details, type, title, code, detail: message };
}

const delayed = { ...lineExample.promised, eta: '2027-01-07' };
const batch = {
  ref: 'batch-2026-117',
  sku: 'SMALL-TABLE',
  purchased: 100,
  promised: 10,
  available: 90,
  eta: '2027-01-07',
  cancelled: false,
};

/** A plan as it appears in the documentation. */
export const planExample: Plan = {
  policy: 'warehouse-first',
  outcomes: [
    {
      number: 1,
      type: 'change-batch',
      result: { batch, released: [], reallocated: [], shortfall: [], promised: [] },
      problem: null,
    },
    {
      number: 2,
      type: 'cancel-batch',
      result: null,
      problem: problemOf({
        code: 'unknown-batch',
        message: 'There is no batch batch-2026-999.',
        details: { ref: 'batch-2026-999' },
      }),
    },
  ],
  lines: [
    {
      orderId: delayed.orderId,
      lineId: delayed.lineId,
      sku: delayed.sku,
      before: lineExample.promised,
      after: delayed,
    },
  ],
};

export const unknownPolicy = problem(
  400,
  'unknown-policy',
  'There is no policy cheapest-first; there are warehouse-first, earliest-eta-then-smallest-fit, latest-eta.',
  { policy: 'cheapest-first', known: ['warehouse-first', 'earliest-eta-then-smallest-fit', 'latest-eta'] },
);
export const planTooLarge = problem(
  409,
  'plan-too-large',
  'The plan would change more than 10000 order lines. Plan fewer changes at once.',
  { limit: mostDifferences },
);
