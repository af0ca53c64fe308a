import * as fc from 'fast-check';
import {
  Allocate,
  AllocateOrder,
  AmendLine,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseLine,
  ReleaseOrder,
} from '../../src/allocation/contract/commands';
import type { LineState } from '../../src/allocation/contract/order-lines';
import type { Change, ChangeResult, LineDifference, PlannedOutcome } from '../../src/allocation/contract/queries';
import { DomainError } from '../../src/kernel/domain-error';
import { type Commands, line } from './allocation-commands';

/** Lines as they are asked for. Few names and small numbers, so that changes meet each other all the time. */
export const lines = fc
  .tuple(
    fc.constantFrom('o1', 'o2', 'o3', 'o4', 'o5', 'o6'),
    fc.constantFrom('LAMP', 'LAMP', 'LAMP', 'SOFA'),
    fc.integer({ min: 1, max: 6 }),
    fc.constantFrom('1', '2'),
  )
  .map((args) => line(...args));

export const treatments = fc.record(
  {
    whenOutOfStock: fc.constantFrom('refuse' as const, 'backorder' as const, 'backorder' as const),
    priority: fc.integer({ min: -1, max: 1 }),
  },
  { requiredKeys: [] },
);

/** Changes of every kind. */
export const changes: fc.Arbitrary<Change> = (() => {
  const eta = fc.constantFrom(null, '2031-01-01', '2031-01-02', '2031-01-03');
  const ref = fc.constantFrom('b1', 'b2', 'b3', 'b4');
  const orderId = fc.constantFrom('o1', 'o2', 'o3');
  const sku = fc.constantFrom('LAMP', 'LAMP', 'SOFA');
  const orderLines = fc.uniqueArray(lines, { maxLength: 3, selector: (one) => `${one.sku}/${one.lineId}` });
  const mode = fc.constantFrom('all-or-nothing' as const, 'partial' as const);
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.tuple(ref, sku, fc.nat(12), eta).map((batch): Change => new CreateBatch(...batch)),
    },
    {
      weight: 5,
      arbitrary: fc
        .tuple(ref, fc.record({ qty: fc.nat(12), eta }, { requiredKeys: [] }))
        .map((change) => new ChangeBatch(...change)),
    },
    { weight: 1, arbitrary: ref.map((one) => new CancelBatch(one)) },
    { weight: 7, arbitrary: fc.tuple(lines, treatments).map((allocation) => new Allocate(...allocation)) },
    {
      weight: 2,
      arbitrary: fc.tuple(orderId, orderLines, treatments, mode).map(
        ([id, some, options, mode]) =>
          new AllocateOrder(
            id,
            some.map((one) => ({ ...one, orderId: id })),
            { ...options, mode },
          ),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(lines, fc.integer({ min: 1, max: 6 })).map(([id, qty]) => new AmendLine(id, qty)),
    },
    { weight: 2, arbitrary: lines.map((id) => new ReleaseLine(id)) },
    { weight: 1, arbitrary: orderId.map((id) => new ReleaseOrder(id)) },
  );
})();

/** Makes a change really happen. */
export async function make(change: Change, commands: Commands): Promise<PlannedOutcome> {
  try {
    return { result: await send(change, commands), problem: null };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const { code, message, details } = error;
    return { result: null, problem: { code, message, details } };
  }
}

function send(change: Change, commands: Commands): Promise<ChangeResult> {
  if (change instanceof CreateBatch) return commands.createBatch(change.ref, change.sku, change.qty, change.eta);
  if (change instanceof ChangeBatch) return commands.changeBatch(change.ref, change.change);
  if (change instanceof CancelBatch) return commands.cancelBatch(change.ref);
  if (change instanceof Allocate) return commands.allocate(change.line, change.options);
  if (change instanceof AllocateOrder) return commands.allocateOrder(change.orderId, change.lines, change.options);
  if (change instanceof AmendLine) return commands.amendLine(change.line, change.qty);
  if (change instanceof ReleaseLine) return commands.releaseLine(change.line);
  return commands.releaseOrder(change.orderId);
}

/** What is different between all lines before and all lines after. */
export function differencesBetween(before: readonly LineState[], after: readonly LineState[]): LineDifference[] {
  const byKey = (all: readonly LineState[]) =>
    new Map(all.map((one) => [[one.sku, one.orderId, one.lineId].join(' '), one]));
  const [then, now] = [byKey(before), byKey(after)];
  return [...new Set([...then.keys(), ...now.keys()])]
    .sort()
    .filter((key) => JSON.stringify(then.get(key)) !== JSON.stringify(now.get(key)))
    .map((key) => {
      const { orderId, lineId, sku } = (then.get(key) ?? now.get(key))!;
      return { orderId, lineId, sku, before: then.get(key) ?? null, after: now.get(key) ?? null };
    });
}
