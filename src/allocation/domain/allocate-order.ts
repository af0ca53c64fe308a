import { DomainError } from '../../kernel/domain-error';
import type { AllocateOrder, Allocation, FailedLine, OrderAllocation } from '../contract/commands';
import { OrderNotPromised } from './errors';
import type { ProductRepository } from './product-repository';

/**
 * Promises the lines of an order, in their order, each from its own product. A domain service, because an order spans
 * aggregates.
 * @throws OrderNotPromised if a line failed and the order's mode is all-or-nothing; it names every line that failed
 */
export function allocateOrder(
  { orderId, lines, options: { mode = 'all-or-nothing', ...options } }: AllocateOrder,
  products: ProductRepository,
): OrderAllocation {
  const allocated: Allocation[] = [];
  const failed: FailedLine[] = [];
  for (const line of lines) {
    try {
      allocated.push(products.get(line.sku).allocate(line, options));
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      failed.push({ ...line, code: error.code, message: error.message });
    }
  }
  if (mode === 'all-or-nothing') {
    for (const { orderId, lineId, sku, qty, status } of allocated) {
      if (status !== 'refused') continue;
      failed.push({ orderId, lineId, sku, qty, code: 'out-of-stock', message: `Out of stock for ${sku}` });
    }
    if (failed.length > 0) throw new OrderNotPromised(orderId, failed);
  }
  return { orderId, lines: allocated, failed };
}
