import { DomainError } from '../../kernel/domain-error';
import type { FailedLine } from '../contract/commands';
import type { LineId, LineState } from '../contract/order-lines';

/** No batch of this SKU was ever taken into account. */
export class UnknownSku extends DomainError {
  constructor(sku: string) {
    super('unknown-sku', 'not-found', `Invalid sku ${sku}`, { sku });
  }
}

export class UnknownBatch extends DomainError {
  constructor(ref: string) {
    super('unknown-batch', 'not-found', `There is no batch ${ref}.`, { ref });
  }
}

export class UnknownLine extends DomainError {
  constructor({ orderId, lineId, sku }: LineId) {
    super('unknown-line', 'not-found', `Order ${orderId} has no line ${lineId} of ${sku}.`, { orderId, lineId, sku });
  }
}

/** A reference names one batch for ever; it cannot be created again with other content. */
export class BatchExists extends DomainError {
  constructor(ref: string) {
    super('batch-exists', 'conflict', `Batch ${ref} exists with other content.`, { ref });
  }
}

export class BatchIsCancelled extends DomainError {
  constructor(ref: string) {
    super('batch-cancelled', 'conflict', `Batch ${ref} was cancelled and can no longer be changed.`, { ref });
  }
}

/** The line is promised or waits with another quantity; amending it is what changes that. */
export class LineAlreadyAllocated extends DomainError {
  constructor(line: LineState) {
    const { orderId, lineId, sku, qty, status } = line;
    super(
      'line-already-allocated',
      'conflict',
      `Line ${lineId} of order ${orderId} is already ${status} with ${qty} of ${sku}; amend it to change the quantity.`,
      { line },
    );
  }
}

/** An amended line fits nowhere: what stood before stands. */
export class AmendmentOutOfStock extends DomainError {
  constructor(line: LineState, wanted: number) {
    const { orderId, lineId, sku, qty, status } = line;
    super(
      'out-of-stock',
      'conflict',
      `Out of stock for ${sku}: line ${lineId} of order ${orderId} stays ${status} with ${qty}, ${wanted} cannot be had.`,
      { line, wanted },
    );
  }
}

/** At least one line of an all-or-nothing order failed, so none was promised. */
export class OrderNotPromised extends DomainError {
  constructor(orderId: string, lines: readonly FailedLine[]) {
    super(
      'order-not-promised',
      'conflict',
      `Nothing of order ${orderId} was promised: ${lines.length} of its lines failed.`,
      {
        orderId,
        lines,
      },
    );
  }
}

/** Units are whole, and no more than an integer of the database can hold. */
export class InvalidQuantity extends DomainError {
  static readonly most = 2_147_483_647;

  constructor(qty: number, least: number) {
    super('invalid-quantity', 'invalid', `A quantity is a whole number from ${least} to ${InvalidQuantity.most}.`, {
      qty,
      least,
      most: InvalidQuantity.most,
    });
  }

  /** @throws InvalidQuantity */
  static check(qty: number, least: number): void {
    if (!Number.isInteger(qty) || qty < least || qty > this.most) throw new InvalidQuantity(qty, least);
  }
}

/** A change would move more lines than one transaction should; the operator makes it in smaller steps. */
export class TooManyLines extends DomainError {
  constructor(sku: string, limit: number) {
    super(
      'too-many-lines',
      'conflict',
      `The change would move more than ${limit} order lines of ${sku} at once. Make it in smaller steps.`,
      { sku, limit },
    );
  }
}

/** No policy of that name can be chosen. */
export class UnknownPolicy extends DomainError {
  constructor(policy: string, known: readonly string[]) {
    super('unknown-policy', 'invalid', `There is no policy ${policy}; there are ${known.join(', ')}.`, {
      policy,
      known,
    });
  }
}

/** A plan would change more lines than its answer should hold. */
export class PlanTooLarge extends DomainError {
  constructor(limit: number) {
    super(
      'plan-too-large',
      'conflict',
      `The plan would change more than ${limit} order lines. Plan fewer changes at once.`,
      { limit },
    );
  }
}
