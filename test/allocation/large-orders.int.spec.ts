import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { GroupingUnitOfWork } from '../../src/platform/unit-of-work/grouping-unit-of-work';
import { commandsOver, line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';

const skus = Array.from({ length: 300 }, (_, n) => `sku-${n}`);

describe('An order over more SKUs than a group', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await freshDatabase();
  });
  afterAll(() => db.drop());

  it('is promised, and released to those who wait for each of its SKUs, in one step', async () => {
    const unitOfWork = new GroupingUnitOfWork(await db.connect(), new ProductStore(new WarehouseThenEarliestEta()));
    const commands = commandsOver(unitOfWork);
    await Promise.all(skus.map((sku) => commands.createBatch(`b-${sku}`, sku, 2)));
    await commands.allocateOrder(
      'large',
      skus.map((sku) => line('large', sku, 2)),
    );
    await Promise.all(skus.map((sku) => commands.allocate(line('waits', sku, 2), { whenOutOfStock: 'backorder' })));

    const { released, promised } = await commands.releaseOrder('large');

    expect([released.length, promised.length]).toEqual([skus.length, skus.length]);
    expect(new Set(promised.map(({ orderId }) => orderId))).toEqual(new Set(['waits']));
    await unitOfWork.close();
  });
});
