import { AllocateOrder } from '../../src/allocation/contract/commands';
import { allocateOrder } from '../../src/allocation/domain/allocate-order';
import { Ledger } from '../support/audit';
import { openUnitOfWork, type OwnUnitOfWork } from '../support/by-hand';
import type { Comparison } from '../support/comparison';
import type { Context } from '../support/figure';
import { load } from '../support/load';
import { allocateFor, newLine } from '../support/orders';
import { medianOf } from '../support/pairs';
import { hot, type Profile, uniform } from '../support/profiles';
import { seed, type Stock } from '../support/seed';
import { startServer, withServers } from '../support/server';
import { drive } from '../support/drive';

const waiting = 64;

/** Measures every size in turn, three times, so that what else the machine does falls on all of them alike. */
async function bySize<Size>(
  context: Context,
  column: string,
  sizes: readonly Size[],
  measure: (size: Size) => Promise<() => Promise<number>>,
): Promise<Record<string, string | number>[]> {
  const runs: { size: Size; run: () => Promise<number>; rates: number[] }[] = [];
  for (const size of sizes) runs.push({ size, run: await measure(size), rates: [] });
  for (let round = 0; round < (context.quick ? 1 : 3); round += 1)
    for (const { size, run, rates } of runs) {
      rates.push(await run());
      context.note(`${column} ${String(size)}: ${Math.round(rates.at(-1)!)} /s`);
    }
  const first = medianOf(runs[0]!.rates);
  return runs.map(({ size, rates }) => ({
    [column]: Number(size),
    'per second': Math.round(medianOf(rates)),
    'cost to the first': Number((first / medianOf(rates)).toFixed(2)),
  }));
}

/** Runs `use` on unit-of-work instances that are closed, and their databases audited, in the end. */
async function withUnits<T>(
  context: Context,
  use: (open: (stock: Stock) => Promise<OwnUnitOfWork & { ledger: Ledger }>) => Promise<T>,
): Promise<T> {
  const opened: { close: () => Promise<void>; audit: () => Promise<void> }[] = [];
  const result = await use(async (stock) => {
    const database = await context.freshDatabase();
    await seed(database, stock);
    const ledger = new Ledger();
    const own = await openUnitOfWork(database);
    opened.push({ close: own.close, audit: () => ledger.audit(database, (stock.past ?? 0) * stock.skus) });
    return { ...own, ledger };
  }).finally(() => Promise.all(opened.map(({ close }) => close())));
  for (const { audit } of opened) await audit();
  return result;
}

const hotGrowth = (
  id: string,
  what: string,
  column: string,
  sizes: number[],
  stock: (size: number) => Stock,
): Comparison => ({
  id,
  what,
  measure: (context) =>
    withUnits(context, (open) =>
      bySize(context, column, sizes.slice(0, context.quick ? 2 : undefined), async (size) => {
        const { unitOfWork, ledger } = await open(stock(size));
        return async () =>
          ledger.add(await allocateFor(context.quick ? 0.5 : 2, waiting, 'sku-0', unitOfWork)).perSecond;
      }),
    ),
});

const batchesPerSku = hotGrowth(
  'batches-per-sku',
  'one hot SKU, 64 waiting, by its number of batches',
  'batches',
  [3, 30, 300],
  (batches) => ({ ...hot, batches }),
);

const past = hotGrowth(
  'past-allocations',
  'one hot SKU, 64 waiting, by the number of its past allocations',
  'past allocations',
  [1_000, 10_000, 100_000, 1_000_000, 10_000_000],
  (past) => ({ ...hot, past }),
);

const linesPerOrder: Comparison = {
  id: 'lines-per-order',
  what: 'order lines per second, 64 orders waiting, 10,000 SKUs, by the number of lines per order',
  measure: (context) =>
    withUnits(context, async (open) => {
      const { unitOfWork, ledger } = await open({ skus: 10_000 });
      const draws = uniform(10_000).draws();
      let next = 0;
      return bySize(context, 'lines per order', [1, 10, 100, 1000], (lines) =>
        Promise.resolve(async () => {
          const allocate = async (): Promise<boolean> => {
            const { orderId } = newLine('');
            const wanted = Array.from({ length: lines }, (_, index) => ({
              ...{ orderId, lineId: String(index + 1) },
              ...{ sku: draws[next++ % draws.length]!, qty: 1 },
            }));
            const order = new AllocateOrder(orderId, wanted, {});
            await unitOfWork.run({ lines: wanted }, (products) => allocateOrder(order, products));
            return true;
          };
          const orders = await drive({ allocate }, draws, waiting, context.quick ? 0.5 : 2);
          ledger.add({ acknowledged: orders.acknowledged * lines, unanswered: 0 });
          return orders.perSecond * lines;
        }),
      );
    }),
};

const numberOfSkus: Comparison = {
  id: 'skus',
  what: 'uniform load, 64 waiting, by the number of SKUs',
  measure: (context) =>
    withUnits(context, (open) => {
      const sizes = context.quick ? [1_000, 10_000] : [1_000, 10_000, 100_000, 1_000_000];
      return bySize(context, 'SKUs', sizes, async (skus) => {
        const profile: Profile = uniform(skus);
        const { unitOfWork, ledger } = await open(profile);
        const draws = profile.draws();
        const allocate = async (line: ReturnType<typeof newLine>): Promise<boolean> => {
          await unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) =>
            products.get(line.sku).allocate(line),
          );
          return true;
        };
        return async () => ledger.add(await drive({ allocate }, draws, waiting, context.quick ? 0.5 : 2)).perSecond;
      });
    }),
};

const replicas: Comparison = {
  id: 'replicas',
  what: 'one hot SKU over HTTP, 256 connections, by the number of replicas',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const rows = await withServers(
      Array.from({ length: 4 }, () => startServer('service', database)),
      (servers) =>
        bySize(context, 'replicas', [1, 2, 4], (count) =>
          Promise.resolve(async () => {
            // Four generators on either side.
            const urls = servers.map((_, index) => `${servers[index % count]!.url}/v1/allocations`);
            const report = await load({ urls, connections: 256, seconds: context.quick ? 1 : 3, skus: hot.draws() });
            return ledger.add(report).perSecond;
          }),
        ),
    );
    await ledger.audit(database);
    return rows;
  },
};

/** How the cost of an allocation grows with what there is. */
export const growth: readonly Comparison[] = [batchesPerSku, linesPerOrder, numberOfSkus, past, replicas];
