import type { FirstMention, RowAction, SupplierBatch, SupplierRow } from '../contract/imports';

/** A batch as it is known by now, whatever was promised from it. */
export interface KnownBatch {
  readonly ref: string;
  readonly sku: string;
  readonly purchased: number;
  readonly eta: string | null;
  readonly cancelled: boolean;
}

/**
 * What is to be done about rows of a supplier's file, one action per row, in their order. The first row that names a
 * reference counts: the same again is nothing, and anything else about it is rejected.
 * @param stock the batches whose references are named, as far as they exist
 * @param earlier what the file says first of references that are named again, be it in these rows or in others
 */
export function compareWithStock(
  rows: readonly SupplierRow[],
  stock: readonly KnownBatch[],
  earlier: readonly FirstMention[] = [],
): RowAction[] {
  const known = new Map(stock.map((batch) => [batch.ref, batch]));
  const mentioned = new Map(earlier.map((batch) => [batch.ref, batch]));
  return rows.map((row): RowAction => {
    if (row.problem !== undefined) return { line: row.line, kind: 'reject', ref: null, reason: row.problem };
    const before = mentioned.get(row.ref);
    if (before && before.line < row.line) return compareWithMention(row, before);
    mentioned.set(row.ref, row);
    return compareWithBatch(row, known.get(row.ref));
  });
}

function compareWithMention(row: FirstMention, before: FirstMention): RowAction {
  if (row.sku === before.sku && row.qty === before.qty && row.eta === before.eta)
    return { line: row.line, kind: 'nothing', batch: batchOf(row) };
  return reject(row, `line ${before.line} says something else of ${row.ref}`);
}

function compareWithBatch(row: FirstMention, batch: KnownBatch | undefined): RowAction {
  const { line } = row;
  if (!batch) return { line, kind: 'create', batch: batchOf(row) };
  if (batch.sku !== row.sku) return reject(row, `${row.ref} is a batch of ${batch.sku}`);
  if (batch.cancelled) return reject(row, `${row.ref} was cancelled`);
  const change = {
    ...(batch.purchased !== row.qty && { qty: row.qty }),
    ...(batch.eta !== row.eta && { eta: row.eta }),
  };
  if (Object.keys(change).length === 0) return { line, kind: 'nothing', batch: batchOf(row) };
  return { line, kind: 'change', batch: batchOf(row), change };
}

const reject = ({ line, ref }: FirstMention, reason: string): RowAction => ({ line, kind: 'reject', ref, reason });

const batchOf = ({ ref, sku, qty, eta }: FirstMention): SupplierBatch => ({ ref, sku, qty, eta });
