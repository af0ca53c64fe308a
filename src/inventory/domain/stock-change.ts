/** An order line that a change is about, and its units. */
interface Line {
  readonly orderId: string;
  readonly lineId: string;
  readonly qty: number;
}

/** What can happen to the stock of a SKU, in the words of inventory. Quantities in units; ETAs are ISO dates. */
export type StockChange =
  | { readonly kind: 'batch-created'; readonly ref: string; readonly qty: number; readonly eta: string | null }
  | { readonly kind: 'batch-quantity'; readonly ref: string; readonly qty: number; readonly previousQty: number }
  | { readonly kind: 'batch-eta'; readonly ref: string; readonly eta: string | null }
  | { readonly kind: 'batch-cancelled'; readonly ref: string }
  | (Line & { readonly kind: 'promised'; readonly batchRef: string; readonly reason: keyof typeof whyPromised })
  | (Line & { readonly kind: 'released'; readonly batchRef: string; readonly reason: keyof typeof whyReleased })
  | (Line & { readonly kind: 'left-queue' })
  | (Line & { readonly kind: 'waiting'; readonly reason: keyof typeof whyWaiting })
  | (Line & { readonly kind: 'refused' });

const whyPromised = {
  requested: 'as requested',
  amended: 'as amended',
  'backorder-served': 'after waiting',
  reallocated: 'in place of the promise that it lost',
};
const whyReleased = {
  released: 'as requested',
  amended: 'to be amended',
  'batch-shrunk': 'because the batch holds less',
  'batch-delayed': 'because the batch is late',
  'batch-cancelled': 'because the batch was cancelled',
};
const whyWaiting = {
  'out-of-stock': 'because it fits into no batch',
  shortfall: 'because it lost its promise and fits into no other batch',
  amended: 'as amended',
};

/** What happened and why, as a sentence for a person. */
export function sentenceOf(change: StockChange): string {
  switch (change.kind) {
    case 'batch-created':
      return `Batch ${change.ref} of ${change.qty} units was taken into account, ${arrival(change.eta)}.`;
    case 'batch-quantity':
      return `Batch ${change.ref} holds ${change.qty} units instead of ${change.previousQty}.`;
    case 'batch-eta':
      return `Batch ${change.ref} is ${arrival(change.eta)} now.`;
    case 'batch-cancelled':
      return `Batch ${change.ref} was cancelled.`;
    case 'promised':
      return `${nameOf(change)} was promised ${change.qty} units of batch ${change.batchRef}, ${whyPromised[change.reason]}.`;
    case 'released':
      return `${nameOf(change)} gave ${change.qty} units of batch ${change.batchRef} back, ${whyReleased[change.reason]}.`;
    case 'left-queue':
      return `${nameOf(change)} no longer waits for ${change.qty} units.`;
    case 'waiting':
      return `${nameOf(change)} waits for ${change.qty} units, ${whyWaiting[change.reason]}.`;
    case 'refused':
      return `${nameOf(change)} was refused ${change.qty} units, because it fits into no batch.`;
  }
}

const arrival = (eta: string | null): string => (eta === null ? 'in the warehouse' : `due ${eta}`);
const nameOf = ({ orderId, lineId }: Line): string => `Line ${lineId} of order ${orderId}`;
