import type { Queryable } from '../../platform/database/database';
import type { ThresholdState } from '../contract/queries';
import { decidingAmong } from '../domain/reorder-point';

export const thresholdColumns = 'pattern, reorder_point::float8 AS "reorderPoint", clear_at::float8 AS "clearAt"';

/** Those of the SKUs themselves, and all patterns, which are expected to be few. */
const thatMayDecide = {
  text: `
    SELECT ${thresholdColumns} FROM inventory.threshold WHERE pattern = ANY($1::text[]) AND reorder_point IS NOT NULL
    UNION ALL
    SELECT ${thresholdColumns} FROM inventory.threshold WHERE strpos(pattern, '*') > 0 AND reorder_point IS NOT NULL`,
};

const lowAmong = {
  text: 'SELECT sku FROM inventory.stock_watch WHERE sku = ANY($1::text[]) AND low',
};

const reviewedTo = {
  text: 'SELECT reviewed_to AS sku FROM inventory.threshold WHERE pattern = $1 AND reviewed_because = $2',
};

const markReviewed = {
  text: 'UPDATE inventory.threshold SET reviewed_because = $2, reviewed_to = $3 WHERE pattern = $1',
};

/** The threshold that decides about each of some SKUs; those without one are left out. */
export async function thresholdsOf(
  database: Queryable,
  skus: readonly string[],
): Promise<ReadonlyMap<string, ThresholdState>> {
  const decide = decidingAmong(await database.query<ThresholdState>(thatMayDecide, [skus]));
  const deciding = skus.map((sku) => [sku, decide(sku)] as const);
  return new Map(deciding.filter((one): one is readonly [string, ThresholdState] => one[1] !== undefined));
}

/** Which of some SKUs are low, as far as was told. */
export async function lowOnesOf(database: Queryable, skus: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set((await database.query<{ sku: string }>(lowAmong, [skus])).map(({ sku }) => sku));
}

/** How far the SKUs of a pattern were judged because of an event: the last one, or an empty text. */
export async function placeOfReview(database: Queryable, pattern: string, because: string): Promise<string> {
  const [mark] = await database.query<{ sku: string }>(reviewedTo, [pattern, because]);
  return mark?.sku ?? '';
}

/** Remembers that the SKUs of a pattern were judged because of an event, up to one of them. */
export async function markReview(database: Queryable, pattern: string, because: string, sku: string): Promise<void> {
  await database.query(markReviewed, [pattern, because, sku]);
}
