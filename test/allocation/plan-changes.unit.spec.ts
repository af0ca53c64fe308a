import * as fc from 'fast-check';
import {
  Allocate,
  AllocateOrder,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseLine,
} from '../../src/allocation/contract/commands';
import type { LineState } from '../../src/allocation/contract/order-lines';
import { type Change, type Plan, PlanChanges } from '../../src/allocation/contract/queries';
import { AllocationPolicies } from '../../src/allocation/domain/allocation-policies';
import { LatestEta, WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { PlanChangesHandler } from '../../src/allocation/handlers/plan-changes.handler';
import { commandsOver, line, type Commands } from '../support/allocation-commands';
import { changes, differencesBetween, make } from '../support/changes';
import { InMemoryProductUnitOfWork } from '../support/in-memory-product-unit-of-work';

const policies = new AllocationPolicies(new WarehouseThenEarliestEta(), new LatestEta());

describe('A plan', () => {
  let unitOfWork: InMemoryProductUnitOfWork;
  let commands: Commands;

  const startOver = (): void => {
    unitOfWork = new InMemoryProductUnitOfWork();
    commands = commandsOver(unitOfWork);
  };
  beforeEach(startOver);

  const plan = (changes: Change[], options?: PlanChanges['options']): Promise<Plan> =>
    new PlanChangesHandler(unitOfWork, policies).execute(new PlanChanges(changes, options));
  const lamps = (orderId: string, qty: number) => line(orderId, 'LAMP', qty);
  const allLines = (): LineState[] => {
    const { batches, lines } = unitOfWork.rows();
    const etas = new Map(batches.map(({ ref, eta }) => [ref, eta]));
    return lines.map((one) => one.state(one.batchRef === null ? null : etas.get(one.batchRef)!));
  };
  const moves = ({ lines }: Plan) =>
    lines.map(({ orderId, before, after }) => {
      const at = (state: LineState | null) => state && `${state.batchRef ?? state.status} ${state.eta ?? ''}`.trim();
      return [orderId, at(before), at(after)];
    });

  beforeEach(async () => {
    await commands.createBatch('b1', 'LAMP', 10, '2031-01-01');
    await commands.createBatch('b2', 'LAMP', 4, '2031-02-01');
    await commands.allocate(lamps('o1', 4));
    await commands.allocate(lamps('o2', 4));
  });

  it('shows which lines a delay moves, and which only come later', async () => {
    const delayed = await plan([new ChangeBatch('b1', { eta: '2031-03-01' })]);
    expect(moves(delayed)).toEqual([
      ['o1', 'b1 2031-01-01', 'b2 2031-02-01'],
      ['o2', 'b1 2031-01-01', 'b1 2031-03-01'],
    ]);
    expect(delayed.outcomes).toMatchObject([{ result: { reallocated: [{ orderId: 'o1' }] }, problem: null }]);
  });

  it('shows every line once, as it would be in the end', async () => {
    const turned = await plan([
      new ChangeBatch('b1', { qty: 0 }),
      new CreateBatch('b3', 'LAMP', 4),
      new CancelBatch('b3'),
      new ChangeBatch('b2', { eta: '2031-02-02' }),
      new Allocate(lamps('o3', 1)),
    ]);
    expect(moves(turned)).toEqual([
      ['o1', 'b1 2031-01-01', 'b2 2031-02-02'],
      ['o2', 'b1 2031-01-01', 'backordered'],
      ['o3', null, 'refused'],
    ]);
  });

  it('is silent about what comes back to where it was', async () => {
    const there = new ChangeBatch('b1', { eta: '2031-01-09' });
    const back = new ChangeBatch('b1', { eta: '2031-01-01' });
    expect((await plan([there, back])).lines).toEqual([]);
    expect((await plan([new Allocate(lamps('o3', 2)), new ReleaseLine(lamps('o3', 2))])).lines).toEqual([]);
  });

  it('goes on behind a change that would be refused, which changes nothing', async () => {
    const { outcomes, lines } = await plan([
      new CancelBatch('b9'),
      new AllocateOrder('o3', [lamps('o3', 2), line('o3', 'SOFA', 1)]),
      new Allocate(lamps('o1', 5)),
      new Allocate(lamps('o4', 2)),
    ]);
    expect(outcomes.map(({ problem }) => problem?.code)).toEqual([
      'unknown-batch',
      'order-not-promised',
      'line-already-allocated',
      undefined,
    ]);
    expect(lines.map(({ orderId }) => orderId)).toEqual(['o4']);
  });

  it('may be decided by another policy, by its name', async () => {
    const delayed = new ChangeBatch('b1', { eta: '2031-03-01' });
    const allocated = new Allocate(lamps('o3', 2));
    expect(moves(await plan([allocated]))).toEqual([['o3', null, 'b1 2031-01-01']]);
    const other = await plan([allocated, delayed], { policy: 'latest-eta' });
    expect(other.policy).toBe('latest-eta');
    expect(moves(other)).toEqual([
      ['o1', 'b1 2031-01-01', 'b1 2031-03-01'],
      ['o2', 'b1 2031-01-01', 'b1 2031-03-01'],
      ['o3', null, 'b2 2031-02-01'],
    ]);
    expect(await commands.allocate(lamps('o3', 2))).toMatchObject({ batchRef: 'b1' });
    await expect(plan([], { policy: 'cheapest' })).rejects.toMatchObject({
      code: 'unknown-policy',
      details: { known: ['warehouse-first', 'latest-eta'] },
    });
  });

  it('has no more lines than it may', async () => {
    const delayed = [new ChangeBatch('b1', { eta: '2031-01-02' })];
    expect((await plan(delayed, { maxLines: 2 })).lines).toHaveLength(2);
    await expect(plan(delayed, { maxLines: 1 })).rejects.toMatchObject({
      code: 'plan-too-large',
      details: { limit: 1 },
    });
  });

  it('leaves everything as it was', async () => {
    const before = { ...unitOfWork.rows(), events: unitOfWork.events.length };
    await plan([new CancelBatch('b1'), new CreateBatch('b3', 'SOFA', 1), new ChangeBatch('b2', { eta: null })]);
    expect({ ...unitOfWork.rows(), events: unitOfWork.events.length }).toEqual(before);
  });

  it('is what then happens, whatever happened before', async () => {
    const some = (maxLength: number) => fc.array(changes, { maxLength, size: 'max' });
    const run = fc.asyncProperty(some(25), some(12), async (past, planned) => {
      startOver();
      for (const change of past) await make(change, commands);
      const { outcomes, lines } = await plan(planned);
      const before = allLines();
      for (const [index, change] of planned.entries()) expect(await make(change, commands)).toEqual(outcomes[index]);
      expect(lines).toEqual(differencesBetween(before, allLines()));
    });
    await fc.assert(run, { numRuns: 300 });
  });
});
