import { DataSource } from 'typeorm';
import { CreateBatch } from '../../src/allocation/contract/commands';
import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import type { ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { Database } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import { GroupingUnitOfWork } from '../../src/platform/unit-of-work/grouping-unit-of-work';
import type { Context, Figure } from '../support/figure';

const waiting = 512;
const sku = 'HOT';

/** What grouping is worth: allocations of one hot SKU, without HTTP, 512 of them waiting at any time. */
export const grouping: Figure = {
  id: 'grouping',
  what: 'one hot SKU without HTTP, 512 waiting: grouped, to GROUP_MAX=1',
  target: 10,
  better: 'higher',
  async measure(context: Context): Promise<number[]> {
    const source = await new DataSource(dataSourceOptions(await context.freshDatabase())).initialize();
    const database = new Database(source);
    const store = new ProductStore(new WarehouseThenEarliestEta());
    const unitOfWork = (groupMax: number): ProductUnitOfWork =>
      new GroupingUnitOfWork(database, store, { groupMax, deadline: 120_000 });
    const seconds = context.quick ? 0.3 : 2;
    const ratios: number[] = [];
    try {
      await unitOfWork(1).run({ skus: [sku], refs: ['hot'] }, (products) =>
        products.claim('hot', sku).addBatch(new CreateBatch('hot', sku, 2_000_000_000)),
      );
      await allocateFor(seconds, unitOfWork(512));
      for (let pair = 0; pair < (context.quick ? 1 : 5); pair += 1) {
        const grouped = await allocateFor(seconds, unitOfWork(512));
        const single = await allocateFor(seconds, unitOfWork(1));
        ratios.push(grouped / single);
        context.note(`grouped ${Math.round(grouped)}/s, one by one ${Math.round(single)}/s`);
      }
      await audit(database);
    } finally {
      await source.destroy();
    }
    return ratios;
  },
};

let orders = 0;

/** Keeps 512 allocations waiting, each of a new order. @returns allocations per second */
async function allocateFor(seconds: number, unitOfWork: ProductUnitOfWork): Promise<number> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let done = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const line = { orderId: `order-${orders++}`, lineId: '1', sku, qty: 1 };
      await unitOfWork.run({ skus: [sku], lines: [line] }, (products) => products.get(sku).allocate(line));
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: waiting }, client));
  return (done * 1000) / (performance.now() - start);
}

/** What was acknowledged is there, once. */
async function audit(database: Database): Promise<void> {
  const [{ lines, promised }] = (await database.query<{ lines: number; promised: number }>({
    text: `SELECT (SELECT count(*)::int FROM allocation.line WHERE status = 'promised') AS lines, promised
           FROM allocation.batch`,
  })) as [{ lines: number; promised: number }];
  if (lines !== orders || promised !== orders)
    throw new Error(`${orders} acknowledged, ${lines} lines, ${promised} promised`);
}
