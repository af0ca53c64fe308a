import type { Stock, StockBatch } from '../contract/queries';

/** What the events say of a batch. */
export type RecordedBatch = Omit<StockBatch, 'available' | 'late'>;

/** What the events say of a SKU. */
export interface RecordedStock {
  readonly sku: string;
  readonly version: number;
  /** Units that are waited for. */
  readonly backordered: number;
  /** In order of reference. */
  readonly batches: readonly RecordedBatch[];
}

/** A batch as stock, by a day: its ETA has passed if that day is a later one. @param today ISO date */
export function stockBatch(batch: RecordedBatch, today: string): StockBatch {
  const { ref, sku, purchased, promised, eta, cancelled } = batch;
  const available = cancelled ? 0 : purchased - promised;
  return { ref, sku, purchased, promised, available, eta, cancelled, late: isLate(batch, today) };
}

/**
 * How much there is of a SKU.
 * @param today ISO date, by which batches are late
 * @param most how many batches are shown at most: closed ones are left out first
 */
export function stockOf({ sku, version, backordered, batches }: RecordedStock, today: string, most = Infinity): Stock {
  let [onHand, inbound, promised, lateUnits] = [0, 0, 0, 0];
  let nextArrival: string | null = null;
  for (const batch of batches) {
    promised += batch.promised;
    if (batch.cancelled) continue;
    const { purchased, eta } = batch;
    if (eta === null) onHand += purchased;
    else inbound += purchased;
    if (isLate(batch, today)) lateUnits += purchased;
    if (eta !== null && (nextArrival === null || eta < nextArrival)) nextArrival = eta;
  }
  const available = onHand + inbound - promised;
  const levels = { sku, version, onHand, inbound, promised, available, backordered, nextArrival, lateUnits };
  const shown = openFirst(batches, most).map((batch) => stockBatch(batch, today));
  return { ...levels, batchCount: batches.length, batches: shown };
}

/** As many of the batches as may be, in their order. */
function openFirst(batches: readonly RecordedBatch[], most: number): readonly RecordedBatch[] {
  if (batches.length <= most) return batches;
  const [open, closed] = [batches.filter((batch) => !isClosed(batch)), batches.filter(isClosed)];
  const shown = new Set([...open, ...closed].slice(0, most));
  return batches.filter((batch) => shown.has(batch));
}

/** Nothing can be promised from it, and nothing of it is to arrive. */
const isClosed = ({ purchased, promised, eta, cancelled }: RecordedBatch): boolean =>
  cancelled || (eta === null && promised === purchased);

const isLate = ({ eta, cancelled }: RecordedBatch, today: string): boolean => !cancelled && eta !== null && eta < today;
