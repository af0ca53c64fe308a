import type { ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';
import type { Line } from './by-hand';

const run = `${process.pid}-${Date.now()}`;
let orders = 0;

/** A line of an order that never was before. */
export const newLine = (sku: string): Line => ({ orderId: `${run}-${(orders += 1)}`, lineId: '1', sku, qty: 1 });

/**
 * Keeps a number of allocations waiting, each of a new order.
 * @returns allocations in all and per second
 */
export async function allocateFor(
  seconds: number,
  waiting: number,
  sku: string,
  unitOfWork: ProductUnitOfWork,
): Promise<{ acknowledged: number; unanswered: number; perSecond: number }> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let done = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const line = newLine(sku);
      await unitOfWork.run({ skus: [sku], lines: [line] }, (products) => products.get(sku).allocate(line));
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: waiting }, client));
  return { acknowledged: done, unanswered: 0, perSecond: (done * 1000) / (performance.now() - start) };
}
