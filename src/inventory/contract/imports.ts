/** What a supplier's file says of a batch. */
export interface SupplierBatch {
  readonly ref: string;
  readonly sku: string;
  /** Units. */
  readonly qty: number;
  /** ISO date of arrival; null: it is in the warehouse. */
  readonly eta: string | null;
}

/** A row by the line of the file that it begins in; with a `problem` it says nothing that can be understood. */
export type SupplierRow = { readonly line: number } & (
  (SupplierBatch & { readonly problem?: never }) | { readonly problem: string }
);

/** What is to be done about a row, so that the stock is as the file says. */
export type RowAction = { readonly line: number } & (
  | { readonly kind: 'create'; readonly batch: SupplierBatch }
  | {
      readonly kind: 'change';
      readonly batch: SupplierBatch;
      /** What is different; what is not given stays as it is. */
      readonly change: { readonly qty?: number; readonly eta?: string | null };
    }
  | { readonly kind: 'nothing'; readonly batch: SupplierBatch }
  | { readonly kind: 'reject'; readonly ref: string | null; readonly reason: string }
);

/** What a file says of a reference for the first time. */
export type FirstMention = SupplierBatch & { readonly line: number };

/** What is to be done about rows of a supplier's file. Answer: `RowAction[]`, one per row, in their order. */
export class CompareWithStock {
  /** @param earlier what the file says first of references that it names again in these rows */
  constructor(
    readonly rows: readonly SupplierRow[],
    readonly earlier: readonly FirstMention[] = [],
  ) {}
}
