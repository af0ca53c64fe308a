import type { LineId, LineState, LineStatus, RequestedLine } from '../contract/order-lines';

/** Where a line has its stock, or waits for it. */
interface Standing {
  readonly status: LineStatus;
  readonly batchRef: string | null;
  readonly priority: number;
  /** Waits because the batch that it was promised from failed it. */
  readonly displaced: boolean;
  /** The version of the product at which it got this standing; for a displaced line, at which it had been promised. */
  readonly since: number;
}

/** An order line that a product knows, and its standing. A value: a change of standing is another value. */
export class OrderLine implements RequestedLine {
  readonly orderId: string;
  readonly lineId: string;
  readonly sku: string;
  readonly qty: number;
  readonly status: LineStatus;
  readonly batchRef: string | null;
  readonly priority: number;
  readonly displaced: boolean;
  readonly since: number;

  constructor({ orderId, lineId, sku, qty }: RequestedLine, standing: Standing) {
    this.orderId = orderId;
    this.lineId = lineId;
    this.sku = sku;
    this.qty = qty;
    this.status = standing.status;
    this.batchRef = standing.batchRef;
    this.priority = standing.priority;
    this.displaced = standing.displaced;
    this.since = standing.since;
  }

  /** Where a line stands among all lines of its product. */
  static keyOf({ orderId, lineId }: Pick<LineId, 'orderId' | 'lineId'>): string {
    return `${orderId}/${lineId}`;
  }

  static promised(line: RequestedLine, priority: number, batchRef: string, since: number): OrderLine {
    return new OrderLine(line, { status: 'promised', batchRef, priority, displaced: false, since });
  }

  static waiting(line: RequestedLine, priority: number, displaced: boolean, since: number): OrderLine {
    return new OrderLine(line, { status: 'backordered', batchRef: null, priority, displaced, since });
  }

  static refused(line: RequestedLine, priority: number, since: number): OrderLine {
    return new OrderLine(line, { status: 'refused', batchRef: null, priority, displaced: false, since });
  }

  get key(): string {
    return OrderLine.keyOf(this);
  }

  /** @param eta of the batch it is promised from */
  state(eta: string | null): LineState {
    const { orderId, lineId, sku, qty, status, batchRef, priority } = this;
    return { orderId, lineId, sku, qty, status, batchRef, eta, priority };
  }

  /** The order of the queue: negative if `a` is served before `b`. */
  static inQueueOrder(this: void, a: OrderLine, b: OrderLine): number {
    return b.priority - a.priority || Number(b.displaced) - Number(a.displaced) || a.since - b.since;
  }
}
