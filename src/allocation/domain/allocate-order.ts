import { DomainError } from '../../kernel/domain-error';
import { NotLoaded } from '../../kernel/unit-of-work';
import type { AllocateOrder, Allocation, FailedLine, OrderAllocation } from '../contract/commands';
import { OrderNotPromised } from './errors';
import { type ProductNeeds, together } from './product-needs';
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
  const missing: ProductNeeds[] = [];
  for (const line of lines) {
    try {
      const allocation = products.get(line.sku).allocate(line, options);
      if (mode === 'partial' || allocation.status !== 'refused') allocated.push(allocation);
      else failed.push({ ...line, code: 'out-of-stock', message: `Out of stock for ${line.sku}` });
    } catch (error) {
      if (error instanceof NotLoaded) missing.push(error.needs as ProductNeeds);
      else if (!(error instanceof DomainError)) throw error;
      else failed.push({ ...line, code: error.code, message: error.message });
    }
  }
  if (missing.length > 0) throw new NotLoaded(together(missing));
  if (mode === 'all-or-nothing' && failed.length > 0) throw new OrderNotPromised(orderId, failed);
  return { orderId, lines: allocated, failed };
}
