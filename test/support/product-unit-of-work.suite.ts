import type { BatchState } from '../../src/allocation/contract/commands';
import type { LineState } from '../../src/allocation/contract/order-lines';
import type { ProductDryRun, ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';
import { commandsOver, line, type Commands } from './allocation-commands';

/** A unit of work over products, and what a test must be able to look up behind its back. */
export interface StartedUnitOfWork {
  readonly unitOfWork: ProductUnitOfWork;
  /** Over the same products. */
  readonly dryRun: ProductDryRun;
  /** The stored lines of an order, in any order. */
  lines(orderId: string): Promise<LineState[]>;
  /** The stored events of a SKU, in the order of its stream. */
  events(sku: string): Promise<{ version: number; type: string; data: object }[]>;
  stop(): Promise<void>;
}

/**
 * What every implementation of {@link ProductUnitOfWork} must do, whatever it stores its products in. It is started
 * once; each test has SKUs, orders and references of its own.
 */
export function describeProductUnitOfWork(name: string, start: () => Promise<StartedUnitOfWork>): void {
  describe(`The unit of work over products ${name}`, () => {
    let started: StartedUnitOfWork;
    let unitOfWork: ProductUnitOfWork;
    let commands: Commands;
    let tests = 0;
    let sku: string, other: string, third: string;

    /** A name that only this test has. */
    const own = (name: string): string => `${name}.${tests}`;
    const o = own;
    const allocate = (orderId: string, qty: number, of = sku) => commands.allocate(line(o(orderId), of, qty));
    const backorder = (orderId: string, qty: number, priority = 0) =>
      commands.allocate(line(o(orderId), sku, qty), { whenOutOfStock: 'backorder', priority });
    const lineOf = async (orderId: string) => (await started.lines(o(orderId)))[0];
    const batch = (ref: string): Promise<BatchState> =>
      unitOfWork.run({ refs: [own(ref)] }, (products) => {
        const batches = [...products.getByBatchRef(own(ref)).knownBatches];
        return batches.find((known) => known.ref === own(ref))!.state();
      });
    const eventNames = async (of = sku) =>
      (await started.events(of)).map(({ type, data }) => {
        const { orderId, ref } = data as { orderId?: string; ref?: string };
        return `${type.replace(/^allocation\.|\.v1$/g, '')} ${(orderId ?? ref)!.replace(`.${tests}`, '')}`;
      });
    const outcomes = async (runs: readonly Promise<unknown>[]): Promise<unknown[]> =>
      (await Promise.allSettled(runs)).map((run) => (run.status === 'fulfilled' ? run.value : run.reason));
    const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
    const sorted = (lines: readonly LineState[]): LineState[] =>
      [...lines].sort((a, b) => (`${a.sku}/${a.lineId}` < `${b.sku}/${b.lineId}` ? -1 : 1));

    beforeAll(async () => {
      started = await start();
      ({ unitOfWork } = started);
      commands = commandsOver(unitOfWork);
    });
    afterAll(() => started?.stop());
    beforeEach(() => {
      tests += 1;
      [sku, other, third] = [own('LAMP'), own('SOFA'), own('VASE')];
    });

    describe('commits', () => {
      it('what a work did, and returns what it returned', async () => {
        await commands.createBatch(own('b1'), sku, 10, '2031-01-31');
        const answer = await commands.allocate(line(o('o1'), sku, 3, '7'), { priority: -4 });
        const expected = {
          orderId: o('o1'),
          lineId: '7',
          sku,
          qty: 3,
          status: 'promised',
          batchRef: own('b1'),
          eta: '2031-01-31',
          priority: -4,
        };
        expect(answer).toEqual({ ...expected, repeated: false });
        expect(await started.lines(o('o1'))).toEqual([expected]);
      });

      it('its events with it, the data as it was recorded', async () => {
        await commands.createBatch(own('b1'), sku, 10);
        await backorder('o1', 11, 2);
        expect(await started.events(sku)).toEqual([
          {
            version: 1,
            type: 'allocation.batch-created.v1',
            data: { ref: own('b1'), sku, qty: 10, eta: null },
          },
          {
            version: 2,
            type: 'allocation.backordered.v1',
            data: {
              orderId: o('o1'),
              lineId: '1',
              sku,
              qty: 11,
              priority: 2,
              displaced: false,
              since: 2,
              reason: 'out-of-stock',
            },
          },
        ]);
      });

      it('works one after another: each sees what those before it did', async () => {
        await commands.createBatch(own('b1'), sku, 10);
        await allocate('o1', 6);
        expect(await allocate('o2', 5)).toMatchObject({ status: 'refused' });
        expect(await allocate('o1', 6)).toMatchObject({ batchRef: own('b1'), repeated: true });
        expect(await batch('b1')).toMatchObject({ purchased: 10, promised: 6, available: 4 });
      });

      it('several SKUs of one work together', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await commands.createBatch(own('b2'), other, 5, '2031-01-01');
        await commands.allocateOrder(o('o1'), [line(o('o1'), sku, 5), line(o('o1'), other, 4)]);
        expect(sorted(await started.lines(o('o1')))).toMatchObject([
          { sku, qty: 5, batchRef: own('b1'), eta: null },
          { sku: other, qty: 4, batchRef: own('b2'), eta: '2031-01-01' },
        ]);
        expect(await eventNames(other)).toEqual(['batch-created b2', 'allocated o1']);
      });

      it('what a line is at the end of a work that changed it more than once', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await allocate('o1', 5);
        await unitOfWork.run({ lines: [line(o('o1'), sku, 5)] }, (products) => {
          products.release([line(o('o1'), sku, 5)]);
          products.get(sku).allocate(line(o('o1'), sku, 2));
        });
        expect(await started.lines(o('o1'))).toMatchObject([{ qty: 2, status: 'promised' }]);
        expect(await batch('b1')).toMatchObject({ promised: 2 });
        expect(await eventNames()).toEqual(['batch-created b1', 'allocated o1', 'deallocated o1', 'allocated o1']);
      });

      it('a batch that comes, is promised and goes within one work', async () => {
        const needs = { skus: [sku], refs: [own('b1')], lines: [line(o('o1'), sku, 5)] };
        await unitOfWork.run(needs, (products) => {
          const product = products.claim(own('b1'), sku);
          product.addBatch({ ref: own('b1'), sku, qty: 5, eta: null });
          product.allocate(line(o('o1'), sku, 5));
          product.cancelBatch(own('b1'));
        });
        expect(await batch('b1')).toMatchObject({ purchased: 5, promised: 0, available: 0, cancelled: true });
        expect(await lineOf('o1')).toMatchObject({ status: 'backordered' });
      });

      it('nothing for a work that changed nothing', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await commands.createBatch(own('b1'), sku, 5);
        await commands.releaseLine(line(o('o1'), sku, 1));
        expect(await eventNames()).toEqual(['batch-created b1']);
      });

      it('the largest quantity', async () => {
        await commands.createBatch(own('b1'), sku, 2_147_483_647);
        await allocate('o1', 2_147_483_647);
        expect(await batch('b1')).toMatchObject({ promised: 2_147_483_647, available: 0 });
        expect(await lineOf('o1')).toMatchObject({ qty: 2_147_483_647 });
      });

      it('every standing that a line can come to', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        expect(await allocate('o1', 6)).toMatchObject({ status: 'refused' });
        expect(await lineOf('o1')).toMatchObject({ status: 'refused', batchRef: null, eta: null });
        await backorder('o1', 6, 3);
        expect(await lineOf('o1')).toMatchObject({ status: 'backordered', batchRef: null, priority: 3 });
        await commands.changeBatch(own('b1'), { qty: 6 });
        expect(await lineOf('o1')).toMatchObject({ status: 'promised', batchRef: own('b1') });
        await commands.releaseLine(line(o('o1'), sku, 6));
        expect(await lineOf('o1')).toBeUndefined();
      });

      it('a batch whose date changes, for its lines too', async () => {
        await commands.createBatch(own('b1'), sku, 5, '2031-12-31');
        await allocate('o1', 5);
        await commands.changeBatch(own('b1'), { eta: '2032-02-29' });
        expect(await lineOf('o1')).toMatchObject({ eta: '2032-02-29' });
        await commands.changeBatch(own('b1'), { eta: null });
        expect(await batch('b1')).toMatchObject({ eta: null, promised: 5 });
      });
    });

    describe('leaves nothing', () => {
      it('of a work that throws, and passes on what it threw', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        const thrown = new Error('changed my mind');
        const run = unitOfWork.run({ skus: [sku], refs: [own('b2')], lines: [line(o('o1'), sku, 5)] }, (products) => {
          products.get(sku).allocate(line(o('o1'), sku, 5));
          products.claim(own('b2'), sku).addBatch({ ref: own('b2'), sku, qty: 1, eta: null });
          throw thrown;
        });
        await expect(run).rejects.toBe(thrown);
        expect(await started.lines(o('o1'))).toEqual([]);
        expect(await eventNames()).toEqual(['batch-created b1']);
        expect(await batch('b1')).toMatchObject({ promised: 0 });
        expect(await allocate('o2', 5)).toMatchObject({ batchRef: own('b1') });
      });

      it('of an order over several SKUs of which one is out of stock', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await commands.createBatch(own('b2'), other, 3);
        const lines = [line(o('o1'), sku, 5), line(o('o1'), other, 4), line(o('o1'), third, 1)];
        await expect(commands.allocateOrder(o('o1'), lines)).rejects.toMatchObject({
          code: 'order-not-promised',
          details: {
            lines: [
              { sku: other, code: 'out-of-stock' },
              { sku: third, code: 'unknown-sku' },
            ],
          },
        });
        expect(await started.lines(o('o1'))).toEqual([]);
        expect(await eventNames()).toEqual(['batch-created b1']);
        expect(await eventNames(other)).toEqual(['batch-created b2']);
      });

      it('and does not disturb the works around it', async () => {
        await commands.createBatch(own('b1'), sku, 20);
        const results = await outcomes(
          times(20, (i) =>
            i % 2 === 0
              ? allocate(`o${i}`, 1)
              : unitOfWork.run({ skus: [sku], lines: [line(o(`o${i}`), sku, 1)] }, (products) => {
                  products.get(sku).allocate(line(o(`o${i}`), sku, 1));
                  throw new Error(`work ${i}`);
                }),
          ),
        );
        results.forEach((result, i) =>
          expect(result).toMatchObject(i % 2 === 0 ? { status: 'promised' } : { message: `work ${i}` }),
        );
        expect(await batch('b1')).toMatchObject({ promised: 10 });
        expect(await eventNames()).toHaveLength(11);
      });

      it('of a claim: the reference is free again', async () => {
        const claimAndThrow = unitOfWork.run({ skus: [sku], refs: [own('b1')] }, (products) => {
          products.claim(own('b1'), sku).addBatch({ ref: own('b1'), sku, qty: 1, eta: null });
          throw new Error('changed my mind');
        });
        await expect(claimAndThrow).rejects.toThrow('changed my mind');
        expect(await commands.createBatch(own('b1'), other, 2)).toMatchObject({ created: true, batch: { sku: other } });
      });
    });

    describe('knows that there is no', () => {
      it('SKU of that name', async () => {
        await expect(allocate('o1', 1)).rejects.toMatchObject({ code: 'unknown-sku', details: { sku } });
        expect(await unitOfWork.run({ skus: [sku] }, (products) => products.find(sku) === undefined)).toBe(true);
      });

      it('SKU of that name in small letters', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await expect(allocate('o1', 1, sku.toLowerCase())).rejects.toMatchObject({ code: 'unknown-sku' });
      });

      it('batch of that reference', async () => {
        await expect(commands.changeBatch(own('b1'), { qty: 1 })).rejects.toMatchObject({ code: 'unknown-batch' });
        await expect(commands.cancelBatch(own('b1'))).rejects.toMatchObject({ code: 'unknown-batch' });
      });

      it('order of that name, which can be released all the same', async () => {
        expect(await commands.releaseOrder(o('o1'))).toEqual({ released: [], promised: [] });
        expect(await started.lines(o('o1'))).toEqual([]);
      });

      it('line of that name', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await commands.allocate(line(o('o1'), sku, 1, '1'));
        expect(await commands.releaseLine(line(o('o1'), sku, 1, '2'))).toEqual({ released: [], promised: [] });
        await expect(commands.amendLine(line(o('o1'), sku, 1, '2'), 2)).rejects.toMatchObject({ code: 'unknown-line' });
        expect(await commands.releaseLine(line(o('o1'), other, 1))).toEqual({ released: [], promised: [] });
      });
    });

    describe('gives a batch reference to one SKU for ever', () => {
      it('and refuses it to another later', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await expect(commands.createBatch(own('b1'), other, 5)).rejects.toMatchObject({ code: 'batch-exists' });
        await commands.cancelBatch(own('b1'));
        await expect(commands.createBatch(own('b1'), other, 5)).rejects.toMatchObject({ code: 'batch-exists' });
        await expect(allocate('o1', 1, other)).rejects.toMatchObject({ code: 'unknown-sku' });
      });

      it('also when several want it at the same moment', async () => {
        const results = await outcomes([sku, other, third].map((of) => commands.createBatch(own('b1'), of, 5)));
        expect(results.filter((result) => (result as { created?: boolean }).created)).toHaveLength(1);
        expect(results.filter((result) => (result as { code?: string }).code === 'batch-exists')).toHaveLength(2);
        const events = await Promise.all([sku, other, third].map((of) => started.events(of)));
        expect(events.flat()).toHaveLength(1);
        expect((await batch('b1')).sku).toBe((events.flat()[0]!.data as { sku: string }).sku);
      });

      it('and lets those who want the same at the same moment have the same', async () => {
        const results = await Promise.all(times(5, () => commands.createBatch(own('b1'), sku, 5)));
        expect(results.filter(({ created }) => created)).toHaveLength(1);
        expect(await eventNames()).toEqual(['batch-created b1']);
      });
    });

    describe('loads what a work turns out to need, and repeats the work', () => {
      it('the lines of a batch, from the newest promise on, as many as it takes', async () => {
        await commands.createBatch(own('b1'), sku, 40);
        await commands.createBatch(own('b2'), sku, 12, '2031-01-01');
        for (let i = 1; i <= 20; i++) await allocate(`o${i}`, 2);
        const change = await commands.changeBatch(own('b1'), { qty: 11 });
        expect(change.released.map(({ orderId }) => orderId)).toEqual(times(15, (i) => o(`o${20 - i}`)));
        expect(change.reallocated.map(({ orderId }) => orderId)).toEqual(times(6, (i) => o(`o${6 + i}`)));
        expect(change.shortfall.map(({ orderId }) => orderId)).toEqual(times(9, (i) => o(`o${12 + i}`)));
        expect(change.batch).toMatchObject({ purchased: 11, promised: 10 });
        expect(await lineOf('o5')).toMatchObject({ batchRef: own('b1') });
        expect(await lineOf('o6')).toMatchObject({ batchRef: own('b2'), eta: '2031-01-01' });
        expect(await lineOf('o20')).toMatchObject({ status: 'backordered', batchRef: null });
        const versions = (await started.events(sku)).map(({ version }) => version);
        expect(versions).toEqual(times(2 + 20 + 1 + 15 + 15, (i) => i + 1));
      });

      it('the lines of a delayed batch, from the oldest promise on', async () => {
        await commands.createBatch(own('b1'), sku, 12, '2031-01-01');
        for (const orderId of ['o1', 'o2', 'o3', 'o4', 'o5', 'o6']) await allocate(orderId, 2);
        await commands.createBatch(own('b2'), sku, 7, '2031-02-01');
        const { released, batch } = await commands.changeBatch(own('b1'), { eta: '2031-03-01' });
        expect(released.map(({ orderId }) => orderId)).toEqual(['o1', 'o2', 'o3'].map(o));
        expect(batch).toMatchObject({ promised: 6 });
        expect(await lineOf('o3')).toMatchObject({ batchRef: own('b2') });
        expect(await lineOf('o4')).toMatchObject({ batchRef: own('b1') });
      });

      it('the lines in the order in which they were promised last', async () => {
        await commands.createBatch(own('b1'), sku, 4);
        await commands.createBatch(own('b2'), sku, 2, '2031-01-01');
        await allocate('o1', 2);
        await allocate('o2', 2);
        await allocate('o3', 2);
        await commands.releaseLine(line(o('o2'), sku, 2));
        await commands.changeBatch(own('b2'), { qty: 4 });
        await commands.changeBatch(own('b1'), { qty: 0 });
        expect(await lineOf('o1')).toMatchObject({ batchRef: own('b2') });
        const { released } = await commands.changeBatch(own('b2'), { qty: 2 });
        expect(released.map(({ orderId }) => orderId)).toEqual([o('o1')]);
      });

      it('those who wait: by priority, then the displaced, then by arrival', async () => {
        await commands.createBatch(own('b1'), sku, 4);
        await allocate('d1', 2);
        await allocate('d2', 2);
        for (const [orderId, priority] of [
          ['w1', 0],
          ['w2', 10],
          ['w3', -1],
          ['w4', 0],
          ['w5', 10],
        ] as const) {
          await backorder(orderId, 2, priority);
        }
        // A new promise, younger than those who wait already.
        await commands.amendLine(line(o('d1'), sku, 2), 1);
        await commands.changeBatch(own('b1'), { qty: 0 });
        const { promised } = await commands.createBatch(own('b2'), sku, 11);
        expect(promised.map(({ orderId }) => orderId)).toEqual(['w2', 'w5', 'd2', 'd1', 'w1', 'w4'].map(o));
        expect(await lineOf('w3')).toMatchObject({ status: 'backordered' });
      });

      it('those who wait, however many one change can serve', async () => {
        await commands.createBatch(own('b1'), sku, 0);
        for (let i = 1; i <= 30; i++) await backorder(`o${i}`, 1 + (i % 3));
        const { promised, batch } = await commands.changeBatch(own('b1'), { qty: 1_000 });
        expect(promised.map(({ orderId }) => orderId)).toEqual(times(30, (i) => o(`o${i + 1}`)));
        expect(batch).toMatchObject({ promised: 60, available: 940 });
        expect(await eventNames()).toHaveLength(1 + 30 + 1 + 30);
      });

      it('a batch that is full or cancelled', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await allocate('o1', 5);
        expect(await allocate('o1', 5)).toMatchObject({ batchRef: own('b1'), repeated: true });
        expect(await commands.amendLine(line(o('o1'), sku, 5), 4)).toMatchObject({ batchRef: own('b1'), qty: 4 });
        await commands.amendLine(line(o('o1'), sku, 4), 5);
        expect(await commands.releaseLine(line(o('o1'), sku, 5))).toMatchObject({
          released: [{ batchRef: own('b1') }],
        });
        await commands.cancelBatch(own('b1'));
        await expect(commands.changeBatch(own('b1'), { qty: 6 })).rejects.toMatchObject({ code: 'batch-cancelled' });
      });
    });

    describe('can be tried without storing', () => {
      const preview = <T>(use: (commands: Commands) => Promise<T>): Promise<T> =>
        started.dryRun.preview((unitOfWork) => use(commandsOver(unitOfWork)));

      it('on all that was committed before', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await allocate('o1', 3);
        const [fits, tooMuch, again] = await preview((tried) =>
          Promise.all([
            tried.allocate(line(o('o2'), sku, 2)),
            tried.allocate(line(o('o3'), sku, 1)),
            tried.allocate(line(o('o1'), sku, 3)),
          ]),
        );
        expect(fits).toMatchObject({ status: 'promised', batchRef: own('b1') });
        expect(tooMuch).toMatchObject({ status: 'refused' });
        expect(again).toMatchObject({ status: 'promised', repeated: true });
      });

      it('so that nothing is left of it', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await allocate('o1', 3);
        const before = await started.events(sku);
        await preview(async (tried) => {
          await tried.createBatch(own('b2'), other, 5);
          await tried.releaseOrder(o('o1'));
          await tried.cancelBatch(own('b1'));
        });
        expect(await started.events(sku)).toEqual(before);
        expect(await started.events(other)).toEqual([]);
        expect(await lineOf('o1')).toMatchObject({ batchRef: own('b1') });
        expect(await batch('b1')).toMatchObject({ promised: 3, cancelled: false });
        expect(await commands.createBatch(own('b2'), third, 1)).toMatchObject({ created: true, batch: { sku: third } });
      });

      it('one work after another: each sees what those before it did, and nothing of those that threw', async () => {
        await commands.createBatch(own('b1'), sku, 4);
        await preview(async (tried) => {
          await tried.createBatch(own('b2'), other, 5);
          const order = tried.allocateOrder(o('o1'), [line(o('o1'), other, 5), line(o('o1'), sku, 5)]);
          await expect(order).rejects.toMatchObject({ code: 'order-not-promised' });
          expect(await tried.changeBatch(own('b2'), { qty: 3 })).toMatchObject({
            released: [],
            batch: { available: 3 },
          });
          expect(await tried.allocate(line(o('o2'), other, 3))).toMatchObject({ batchRef: own('b2') });
          expect(await tried.releaseOrder(o('o2'))).toMatchObject({ released: [{ batchRef: own('b2'), qty: 3 }] });
          expect(await tried.amendLine(line(o('o3'), sku, 1), 2).catch((error: unknown) => error)).toMatchObject({
            code: 'unknown-line',
          });
        });
      });

      it('and loads what it turns out to need, batch after batch', async () => {
        await commands.createBatch(own('b1'), sku, 40);
        for (let i = 1; i <= 10; i++) await allocate(`o${i}`, 4);
        const { released, shortfall, promised } = await preview(async (tried) => {
          await tried.createBatch(own('b2'), sku, 8, '2031-01-01');
          const { released } = await tried.changeBatch(own('b1'), { qty: 12 });
          const { shortfall } = await tried.changeBatch(own('b2'), { qty: 4 });
          const { promised } = await tried.changeBatch(own('b1'), { qty: 24 });
          return { released, shortfall, promised };
        });
        expect(released).toHaveLength(7);
        expect(shortfall).toMatchObject([{ orderId: o('o5') }]);
        expect(promised.map(({ orderId }) => orderId)).toEqual(['o6', 'o7', 'o8'].map(o));
      });

      it('and passes on what its user throws', async () => {
        await commands.createBatch(own('b1'), sku, 4);
        const tired = preview(async (tried) => {
          await tried.allocate(line(o('o1'), sku, 1));
          throw new Error('enough');
        });
        await expect(tired).rejects.toThrow('enough');
        expect(await started.lines(o('o1'))).toEqual([]);
      });
    });

    describe('takes works that come at the same moment', () => {
      it('and never promises more than there is', async () => {
        await commands.createBatch(own('b1'), sku, 30);
        const answers = await Promise.all(times(50, (i) => allocate(`o${i}`, 1 + (i % 2))));
        const promised = answers.filter(({ status }) => status === 'promised');
        expect(promised.reduce((sum, { qty }) => sum + qty, 0)).toBe(30);
        expect(await batch('b1')).toMatchObject({ promised: 30, available: 0 });
      });

      it('and keeps those that name one product in the order in which they came', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        await Promise.all(times(7, (i) => allocate(`o${i}`, 1)));
        expect(await eventNames()).toEqual([
          'batch-created b1',
          ...times(5, (i) => `allocated o${i}`),
          'out-of-stock o5',
          'out-of-stock o6',
        ]);
      });

      it('and gives each stream the versions 1, 2, 3 without a gap', async () => {
        await Promise.all([commands.createBatch(own('b1'), sku, 9), commands.createBatch(own('b2'), other, 9)]);
        await outcomes(
          times(40, (i) => {
            const lines = [line(o(`o${i}`), sku, 1), line(o(`o${i}`), other, 1)];
            if (i % 4 === 0) return commands.allocateOrder(o(`o${i}`), i % 8 === 0 ? lines : lines.reverse());
            if (i % 4 === 1) return commands.changeBatch(own('b1'), { qty: i });
            return i % 4 === 2 ? allocate(`o${i}`, 1) : commands.releaseOrder(o(`o${i - 1}`));
          }),
        );
        for (const name of [sku, other]) {
          const events = await started.events(name);
          expect(events.length).toBeGreaterThan(5);
          expect(events.map(({ version }) => version)).toEqual(times(events.length, (i) => i + 1));
        }
      });

      it('and promises a line once that is asked for many times', async () => {
        await commands.createBatch(own('b1'), sku, 5);
        const answers = await Promise.all(times(10, () => allocate('o1', 3)));
        expect(answers.filter(({ repeated }) => !repeated)).toHaveLength(1);
        expect(new Set(answers.map(({ batchRef }) => batchRef))).toEqual(new Set([own('b1')]));
        expect(await eventNames()).toEqual(['batch-created b1', 'allocated o1']);
      });

      it('and finishes orders that name the same SKUs the other way round', async () => {
        await Promise.all([sku, other, third].map((of, i) => commands.createBatch(own(`b${i}`), of, 10)));
        const orders = await outcomes(
          times(30, (i) => {
            const lines = [sku, other, third].map((of) => line(o(`o${i}`), of, 1));
            return commands.allocateOrder(o(`o${i}`), i % 2 === 0 ? lines : lines.reverse());
          }),
        );
        expect(orders.filter((order) => (order as { code?: string }).code === 'order-not-promised')).toHaveLength(20);
        for (const ref of ['b0', 'b1', 'b2']) expect(await batch(ref)).toMatchObject({ promised: 10 });
      });

      it('and releases of an order all that it had when its turn came', async () => {
        await Promise.all([sku, other, third].map((of, i) => commands.createBatch(own(`b${i}`), of, 10)));
        await allocate('o1', 1);
        const [, release] = await Promise.all([
          allocate('o1', 2, other),
          commands.releaseOrder(o('o1')),
          allocate('o1', 3, third),
        ]);
        const left = await started.lines(o('o1'));
        const all = [...release.released, ...left].map((line) => line.sku);
        expect(all.sort()).toEqual([sku, other, third].sort());
        expect(release.released.map((line) => line.sku)).toContain(sku);
        expect((await commands.releaseOrder(o('o1'))).released).toHaveLength(left.length);
        expect(await started.lines(o('o1'))).toEqual([]);
        for (const ref of ['b0', 'b1', 'b2']) expect(await batch(ref)).toMatchObject({ promised: 0 });
      });

      it('and loses no line of a batch that shrinks meanwhile', async () => {
        await commands.createBatch(own('b1'), sku, 20);
        const shrink = (qty: number) => commands.changeBatch(own('b1'), { qty });
        await Promise.all([
          ...times(9, (i) => backorder(`o${i}`, 1)),
          shrink(7),
          ...times(9, (i) => backorder(`o${9 + i}`, 1)),
          shrink(4),
        ]);
        const lines = (await Promise.all(times(18, (i) => started.lines(o(`o${i}`))))).flat();
        const { purchased, promised } = await batch('b1');
        expect(promised).toBe(purchased);
        expect(lines.filter(({ status }) => status === 'promised')).toHaveLength(purchased);
        expect(lines.filter(({ status }) => status === 'backordered')).toHaveLength(18 - purchased);
      });
    });
  });
}
