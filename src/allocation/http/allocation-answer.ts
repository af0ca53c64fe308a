import { DomainError } from '../../kernel/domain-error';
import type { Allocation } from '../contract/commands';

/** The line was refused; that is remembered, and told as a problem. */
class OutOfStock extends DomainError {
  constructor(line: Allocation) {
    super('out-of-stock', 'conflict', `Out of stock for ${line.sku}.`, { line });
  }
}

/** The status of the answer that tells what became of a line. @throws OutOfStock */
export function statusOf(allocation: Allocation): 200 | 201 | 202 {
  if (allocation.status === 'refused') throw new OutOfStock(allocation);
  if (allocation.status === 'backordered') return 202;
  return allocation.repeated ? 200 : 201;
}
