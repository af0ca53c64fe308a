/** The identity of an order line. `lineId` tells apart two lines of one order that name the same SKU; it is "1" by default. */
export interface LineId {
  readonly orderId: string;
  readonly lineId: string;
  readonly sku: string;
}

/** An order line as a customer asks for it. `qty` in units: a positive integer up to 2,147,483,647. */
export interface RequestedLine extends LineId {
  readonly qty: number;
}

/** `refused`: nothing fitted and nobody waits; the same request may succeed later. */
export type LineStatus = 'promised' | 'backordered' | 'refused';

/** An order line and where it stands. */
export interface LineState extends RequestedLine {
  readonly status: LineStatus;
  /** The batch it is promised from; null unless promised. */
  readonly batchRef: string | null;
  /** When that batch arrives, an ISO date; null for stock in the warehouse and for a line that is not promised. */
  readonly eta: string | null;
  /** Higher goes first in the queue of backorders. */
  readonly priority: number;
}

/** What to do with a line that fits into no batch. */
export type WhenOutOfStock = 'refuse' | 'backorder';
