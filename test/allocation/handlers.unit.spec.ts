import { ChangeBatch, CreateBatch, RecordBatches } from '../../src/allocation/contract/commands';
import { RecordBatchesHandler } from '../../src/allocation/handlers/record-batches.handler';
import { commandsOver, line, type Commands } from '../support/allocation-commands';
import { InMemoryProductUnitOfWork } from '../support/in-memory-product-unit-of-work';

describe('The command', () => {
  let unitOfWork: InMemoryProductUnitOfWork;
  let commands: Commands;

  const recorded = (): string[] =>
    unitOfWork.events.map(({ stream, version, event }) => `${stream} ${version} ${event.type}`);
  const lamps = (orderId: string, qty: number) => line(orderId, 'LAMP', qty);

  beforeEach(async () => {
    unitOfWork = new InMemoryProductUnitOfWork();
    commands = commandsOver(unitOfWork);
    await commands.createBatch('b1', 'LAMP', 10);
    await commands.createBatch('b2', 'LAMP', 10, '2031-01-01');
    unitOfWork.events.length = 0;
  });

  describe('CreateBatch', () => {
    it('brings a SKU into being', async () => {
      await expect(commands.allocate(line('o1', 'SOFA', 1))).rejects.toMatchObject({ code: 'unknown-sku' });
      expect(await commands.createBatch('b3', 'SOFA', 1)).toMatchObject({ created: true });
      expect(await commands.allocate(line('o1', 'SOFA', 1))).toMatchObject({ batchRef: 'b3' });
      expect(recorded()).toEqual([
        'product:SOFA 1 allocation.batch-created.v1',
        'product:SOFA 2 allocation.allocated.v1',
      ]);
    });

    it('may come again, also when the batch is full', async () => {
      await commands.allocate(lamps('o1', 10));
      expect(await commands.createBatch('b1', 'LAMP', 10)).toMatchObject({ created: false, batch: { promised: 10 } });
    });

    it('is refused for a reference of another SKU', async () => {
      await expect(commands.createBatch('b1', 'SOFA', 10)).rejects.toMatchObject({ code: 'batch-exists' });
      expect(recorded()).toEqual([]);
    });

    it('serves those who wait', async () => {
      await commands.allocate(lamps('o1', 11), { whenOutOfStock: 'backorder' });
      expect(await commands.createBatch('b3', 'LAMP', 11)).toMatchObject({
        promised: [{ orderId: 'o1', batchRef: 'b3' }],
      });
    });
  });

  describe('Allocate', () => {
    it('promises from the best batch', async () => {
      expect(await commands.allocate(lamps('o1', 8))).toMatchObject({ batchRef: 'b1', eta: null, repeated: false });
      expect(await commands.allocate(lamps('o2', 8))).toMatchObject({ batchRef: 'b2', eta: '2031-01-01' });
    });

    it('remembers a refused line', async () => {
      expect(await commands.allocate(lamps('o1', 11))).toMatchObject({ status: 'refused', repeated: false });
      expect(await commands.allocate(lamps('o1', 11))).toMatchObject({ status: 'refused', repeated: true });
      expect(unitOfWork.linesOf('o1')).toMatchObject([{ status: 'refused', qty: 11 }]);
      expect(recorded()).toEqual(['product:LAMP 3 allocation.out-of-stock.v1']);
    });

    it('keeps stock for those who wait already', async () => {
      await commands.allocate(lamps('o1', 11), { whenOutOfStock: 'backorder' });
      expect(await commands.allocate(lamps('o2', 1))).toMatchObject({ status: 'refused' });
      expect(await commands.allocate(lamps('o3', 1), { priority: 1 })).toMatchObject({ status: 'promised' });
    });
  });

  describe('AllocateOrder', () => {
    it('promises lines of several SKUs', async () => {
      await commands.createBatch('b3', 'SOFA', 1);
      const lines = [lamps('o1', 3), line('o1', 'SOFA', 1), line('o1', 'LAMP', 8, '2')];
      expect((await commands.allocateOrder('o1', lines)).lines.map(({ batchRef }) => batchRef)).toEqual([
        'b1',
        'b3',
        'b2',
      ]);
    });

    it('leaves nothing if it is all or nothing and one line fails', async () => {
      const lines = [lamps('o1', 3), line('o1', 'SOFA', 1), line('o1', 'LAMP', 11, '2')];
      await expect(commands.allocateOrder('o1', lines)).rejects.toMatchObject({
        code: 'order-not-promised',
        details: {
          lines: [
            { sku: 'SOFA', code: 'unknown-sku' },
            { lineId: '2', code: 'out-of-stock' },
          ],
        },
      });
      expect(unitOfWork.linesOf('o1')).toEqual([]);
      expect(recorded()).toEqual([]);
    });

    it('keeps what fits if it may be partial', async () => {
      const lines = [lamps('o1', 3), line('o1', 'SOFA', 1), line('o1', 'LAMP', 11, '2')];
      expect(await commands.allocateOrder('o1', lines, { mode: 'partial' })).toMatchObject({
        lines: [{ status: 'promised' }, { status: 'refused' }],
        failed: [{ sku: 'SOFA', code: 'unknown-sku' }],
      });
      expect(unitOfWork.linesOf('o1')).toMatchObject([{ status: 'promised' }, { lineId: '2', status: 'refused' }]);
    });
  });

  describe('ChangeBatch', () => {
    it('moves what no longer fits within the same transaction', async () => {
      await commands.allocate(lamps('o1', 6));
      await commands.allocate(lamps('o2', 4));
      expect(await commands.changeBatch('b1', { qty: 6 })).toMatchObject({
        released: [{ orderId: 'o2', batchRef: 'b1' }],
        reallocated: [{ orderId: 'o2', batchRef: 'b2' }],
        shortfall: [],
      });
      expect(unitOfWork.linesOf('o2')).toMatchObject([{ batchRef: 'b2', eta: '2031-01-01' }]);
    });

    it('moves lines away from a delayed shipment', async () => {
      await commands.allocate(lamps('o1', 10));
      await commands.allocate(lamps('o2', 5));
      await commands.createBatch('b3', 'LAMP', 5, '2031-02-01');
      const change = await commands.changeBatch('b2', { eta: '2031-03-01' });
      expect(change.reallocated).toMatchObject([{ orderId: 'o2', batchRef: 'b3' }]);
    });

    it('is refused for a batch that nobody knows', async () => {
      await expect(commands.changeBatch('b9', { qty: 1 })).rejects.toMatchObject({
        code: 'unknown-batch',
        kind: 'not-found',
        details: { ref: 'b9' },
      });
    });
  });

  describe('RecordBatches', () => {
    const record = (facts: RecordBatches['facts']) =>
      new RecordBatchesHandler(unitOfWork).execute(new RecordBatches(facts));

    it('does what its commands would, in their order, and answers as they would', async () => {
      await commands.allocate(lamps('o1', 6));
      const facts = [
        new CreateBatch('b3', 'LAMP', 6),
        new ChangeBatch('b1', { qty: 5 }),
        new CreateBatch('b4', 'SOFA', 1),
      ];
      expect(await record(facts)).toMatchObject([
        { created: true, batch: { ref: 'b3' } },
        { batch: { purchased: 5 }, reallocated: [{ orderId: 'o1', batchRef: 'b3' }] },
        { created: true, batch: { ref: 'b4', sku: 'SOFA' } },
      ]);
      expect(await record(facts)).toMatchObject([{ created: false }, { released: [] }, { created: false }]);
    });

    it.each([
      ['batch-exists', new CreateBatch('b1', 'SOFA', 10)],
      ['unknown-batch', new ChangeBatch('b9', { qty: 1 })],
    ])('does nothing at all if one of them is refused: %s', async (code, refused) => {
      const facts = [new CreateBatch('b3', 'LAMP', 6), new ChangeBatch('b1', { qty: 5 }), refused];
      await expect(record(facts)).rejects.toMatchObject({ code });
      expect(recorded()).toEqual([]);
    });
  });

  describe('CancelBatch', () => {
    it('promises its lines from others, and says the same when it comes again', async () => {
      await commands.allocate(lamps('o1', 6));
      expect(await commands.cancelBatch('b1')).toMatchObject({ reallocated: [{ orderId: 'o1', batchRef: 'b2' }] });
      expect(await commands.cancelBatch('b1')).toMatchObject({ batch: { cancelled: true }, released: [] });
    });

    it('is refused for a batch that nobody knows', async () => {
      await expect(commands.cancelBatch('b9')).rejects.toMatchObject({ code: 'unknown-batch' });
    });
  });

  describe('AmendLine', () => {
    it('changes the quantity, and with it the batch if need be', async () => {
      await commands.allocate(lamps('o1', 6));
      await commands.allocate(lamps('o2', 4));
      expect(await commands.amendLine(lamps('o2', 4), 5)).toMatchObject({ qty: 5, batchRef: 'b2' });
      expect(unitOfWork.linesOf('o2')).toMatchObject([{ qty: 5, batchRef: 'b2' }]);
    });

    it('lets the old promise stand if the new one cannot be had', async () => {
      await commands.allocate(lamps('o1', 6));
      await expect(commands.amendLine(lamps('o1', 6), 11)).rejects.toMatchObject({ code: 'out-of-stock' });
      expect(unitOfWork.linesOf('o1')).toMatchObject([{ qty: 6, batchRef: 'b1' }]);
    });

    it('is refused for a line or a SKU that nobody knows', async () => {
      await expect(commands.amendLine(lamps('o1', 1), 2)).rejects.toMatchObject({ code: 'unknown-line' });
      await expect(commands.amendLine(line('o1', 'SOFA', 1), 2)).rejects.toMatchObject({ code: 'unknown-sku' });
    });
  });

  describe('ReleaseLine', () => {
    it('gives a promise back and serves those who wait', async () => {
      await commands.allocate(lamps('o1', 10));
      await commands.allocate(lamps('o2', 10));
      await commands.allocate(lamps('o3', 7), { whenOutOfStock: 'backorder' });
      expect(await commands.releaseLine(lamps('o2', 10))).toMatchObject({
        released: [{ orderId: 'o2', batchRef: 'b2' }],
        promised: [{ orderId: 'o3', batchRef: 'b2' }],
      });
      expect(unitOfWork.linesOf('o2')).toEqual([]);
    });

    it('does nothing for a line that nobody knows', async () => {
      expect(await commands.releaseLine(lamps('o1', 1))).toEqual({ released: [], promised: [] });
      expect(await commands.releaseLine(line('o1', 'SOFA', 1))).toEqual({ released: [], promised: [] });
      expect(recorded()).toEqual([]);
    });
  });

  describe('ReleaseOrder', () => {
    it('releases the lines of the order in all SKUs, promised or waiting, and no other', async () => {
      await commands.createBatch('b3', 'SOFA', 1);
      await commands.allocate(lamps('o1', 3));
      await commands.allocate(lamps('o2', 4));
      const options = { whenOutOfStock: 'backorder' } as const;
      await commands.allocateOrder('o1', [line('o1', 'SOFA', 2), line('o1', 'SOFA', 2, '2')], options);
      const { released } = await commands.releaseOrder('o1');
      expect(released.map(({ sku, lineId, status }) => `${sku} ${lineId} ${status}`).sort()).toEqual([
        'LAMP 1 promised',
        'SOFA 1 backordered',
        'SOFA 2 backordered',
      ]);
      expect(unitOfWork.linesOf('o1')).toEqual([]);
      expect(unitOfWork.linesOf('o2')).toHaveLength(1);
    });

    it('leaves the refused lines of the order as they are', async () => {
      await commands.allocate(lamps('o1', 11));
      expect(await commands.releaseOrder('o1')).toEqual({ released: [], promised: [] });
      expect(unitOfWork.linesOf('o1')).toMatchObject([{ status: 'refused' }]);
    });

    it('does nothing for an order that nobody knows', async () => {
      expect(await commands.releaseOrder('o9')).toEqual({ released: [], promised: [] });
    });
  });
});
