import * as fc from 'fast-check';
import type { AllocationOptions } from '../../src/allocation/contract/commands';
import type { RequestedLine } from '../../src/allocation/contract/order-lines';
import { ExplainAllocation, type Explanation, GetQuote, type Quote } from '../../src/allocation/contract/queries';
import { LatestEta } from '../../src/allocation/domain/allocation-policy';
import { ExplainAllocationHandler } from '../../src/allocation/handlers/explain-allocation.handler';
import { GetQuoteHandler } from '../../src/allocation/handlers/get-quote.handler';
import { commandsOver, line, type Commands } from '../support/allocation-commands';
import { changes, lines, make, treatments } from '../support/changes';
import { InMemoryProductUnitOfWork } from '../support/in-memory-product-unit-of-work';

describe('The explanation of an allocation', () => {
  let unitOfWork: InMemoryProductUnitOfWork;
  let commands: Commands;

  const startOver = (...args: ConstructorParameters<typeof InMemoryProductUnitOfWork>): void => {
    unitOfWork = new InMemoryProductUnitOfWork(...args);
    commands = commandsOver(unitOfWork);
  };
  beforeEach(() => startOver());

  const explain = (requested: RequestedLine, options: AllocationOptions = {}): Promise<Explanation> =>
    new ExplainAllocationHandler(unitOfWork).execute(new ExplainAllocation(requested, options));
  const quote = (sku: string, qty: number, priority?: number): Promise<Quote> =>
    new GetQuoteHandler(unitOfWork).execute(new GetQuote(sku, qty, priority));
  const lamps = (orderId: string, qty: number) => line(orderId, 'LAMP', qty);
  const passedOver = ({ candidates }: Explanation) =>
    candidates.map(({ batchRef, passedOver }) => [batchRef, passedOver?.rule ?? passedOver?.reason ?? 'chosen']);

  it('names the batches in order of preference, and the rule by which each was passed over', async () => {
    await commands.createBatch('small', 'LAMP', 4);
    await commands.createBatch('b3', 'LAMP', 20, '2031-02-01');
    await commands.createBatch('b2', 'LAMP', 20, '2031-01-01');
    await commands.createBatch('b1', 'LAMP', 20, '2031-01-01');
    const explanation = await explain(lamps('o1', 10));
    expect(explanation).toMatchObject({
      allocation: { status: 'promised', batchRef: 'b1', repeated: false },
      policy: 'warehouse-first',
      reason: 'best-fit',
      decidedBy: 'lowest reference',
      message: 'b1 is the best batch that can take all 10: lowest reference.',
    });
    expect(passedOver(explanation)).toEqual([
      ['small', 'too-small'],
      ['b1', 'chosen'],
      ['b2', 'lowest reference'],
      ['b3', 'earliest eta'],
    ]);
    expect(explanation.candidates[0]).toEqual({
      batchRef: 'small',
      eta: null,
      available: 4,
      chosen: false,
      passedOver: { reason: 'too-small', rule: null, message: 'small has 4 left, the line needs 10.' },
    });
  });

  it('says so if there was no choice', async () => {
    await commands.createBatch('b1', 'LAMP', 4);
    expect(await explain(lamps('o1', 4))).toMatchObject({
      decidedBy: null,
      message: 'b1 is the only batch that can take all 4.',
    });
  });

  it('leaves out what is cancelled or full', async () => {
    for (const ref of ['b1', 'b2', 'b3']) await commands.createBatch(ref, 'LAMP', 4);
    await commands.cancelBatch('b2');
    await commands.allocate(lamps('o1', 4));
    expect(passedOver(await explain(lamps('o2', 4)))).toEqual([['b3', 'chosen']]);
  });

  it('of a line that is promised already shows where', async () => {
    await commands.createBatch('b1', 'LAMP', 4, '2031-01-01');
    await commands.allocate(lamps('o1', 4));
    await commands.createBatch('b2', 'LAMP', 4);
    const explanation = await explain(lamps('o1', 4));
    expect(explanation).toMatchObject({
      allocation: { batchRef: 'b1', repeated: true },
      reason: 'stands',
      message: 'The line is promised from b1 already.',
    });
    expect(passedOver(explanation)).toEqual([
      ['b2', 'line-stands'],
      ['b1', 'chosen'],
    ]);
  });

  it.each([
    ['refused', undefined],
    ['backordered', 'backorder' as const],
  ])('of a line that fits nowhere says that it would be %s', async (status, whenOutOfStock) => {
    await commands.createBatch('b1', 'LAMP', 4);
    await commands.createBatch('b2', 'LAMP', 4);
    const explanation = await explain(lamps('o1', 5), { whenOutOfStock });
    expect(explanation).toMatchObject({ allocation: { status }, reason: 'nothing-fits', decidedBy: null });
    expect(passedOver(explanation).map(([, why]) => why)).toEqual(['too-small', 'too-small']);
  });

  it('names those for whom stock is kept', async () => {
    await commands.createBatch('b1', 'LAMP', 4);
    await commands.allocate(lamps('o1', 5), { whenOutOfStock: 'backorder', priority: 2 });
    const explanation = await explain(lamps('o2', 3), { priority: 2 });
    expect(explanation).toMatchObject({
      allocation: { status: 'refused' },
      reason: 'backorders-first',
      message: 'What is left of LAMP is kept for those who wait: first order o1 with priority 2.',
    });
    expect(passedOver(explanation)).toEqual([['b1', 'kept-for-backorders']]);
    expect(await quote('LAMP', 3, 2)).toEqual({ batchRef: null, eta: null });
    expect(await quote('LAMP', 3, 3)).toEqual({ batchRef: 'b1', eta: null });
    expect(await explain(lamps('o1', 5))).toMatchObject({
      reason: 'stands',
      message: 'The line waits for LAMP already.',
    });
  });

  it('speaks of the policy that is in force', async () => {
    startOver(1, new LatestEta());
    await commands.createBatch('b1', 'LAMP', 4);
    await commands.createBatch('b2', 'LAMP', 4, '2031-01-01');
    expect(await explain(lamps('o1', 4))).toMatchObject({
      allocation: { batchRef: 'b2' },
      policy: 'latest-eta',
      decidedBy: 'latest eta',
    });
  });

  it('meets the problems that the allocation would meet', async () => {
    await expect(explain(lamps('o1', 1))).rejects.toMatchObject({ code: 'unknown-sku' });
    await expect(quote('LAMP', 1)).rejects.toMatchObject({ code: 'unknown-sku' });
    await commands.createBatch('b1', 'LAMP', 4);
    await commands.allocate(lamps('o1', 1));
    await expect(explain(lamps('o1', 2))).rejects.toMatchObject({ code: 'line-already-allocated' });
    await expect(quote('LAMP', 0)).rejects.toMatchObject({ code: 'invalid-quantity' });
  });

  it('is what the allocation then does, whatever happened before', async () => {
    const run = fc.asyncProperty(
      fc.array(changes, { maxLength: 25, size: 'max' }),
      lines,
      treatments,
      async (past, requested, options) => {
        startOver();
        for (const change of past) await make(change, commands);
        const answer = await explain(requested, options).catch((error: unknown) => ({ error }));
        const { sku, qty } = requested;
        const quoted = await quote(sku, qty, options.priority).catch(() => undefined);
        const open = unitOfWork.rows().batches.filter((batch) => batch.sku === sku && batch.available > 0);
        const real = await commands.allocate(requested, options).catch((error: unknown) => error);
        if ('error' in answer) return expect(answer.error).toEqual(real);

        const { allocation, candidates, reason } = answer;
        expect(allocation).toEqual(real);
        expect(candidates.filter(({ chosen }) => chosen).map(({ batchRef }) => batchRef)).toEqual(
          allocation.batchRef === null ? [] : [allocation.batchRef],
        );
        expect(candidates.map(({ batchRef }) => batchRef)).toEqual(expect.arrayContaining(open.map(({ ref }) => ref)));
        for (const { available, passedOver } of candidates) {
          if (passedOver?.reason === 'too-small') expect(available).toBeLessThan(qty);
          else if (passedOver && passedOver.reason !== 'line-stands') expect(available).toBeGreaterThanOrEqual(qty);
          expect(passedOver?.rule ?? null).toEqual(
            passedOver?.reason === 'less-preferred' ? expect.stringMatching(/./) : null,
          );
        }
        if (reason !== 'stands') expect(quoted).toEqual({ batchRef: allocation.batchRef, eta: allocation.eta });
      },
    );
    await fc.assert(run, { numRuns: 300 });
  });
});
