import type { Queryable } from '../../platform/database/database';
import { type EventClass, revive, type StoredEvent } from '../../platform/event-log/stored-event';
import { Invariant } from '../../platform/verify/invariant';
import { productEvents, streamOf } from '../contract/events';
import { OrderLine } from '../domain/order-line';
import { ProductFold } from '../domain/product-fold';
import { type BatchRow, type LineRow } from './product-statements';

const pageSize = 5_000;
/** Products are compared together until they have so many rows, so that small ones do not cost a query each. */
const rowsAtOnce = 5_000;
const prefix = streamOf('');

const eventsAfter = {
  text: `
    SELECT stream, version::float8 AS version, type, data FROM platform.event
    WHERE (stream, version) > ($1, $2::bigint) AND starts_with(stream, '${prefix}')
    ORDER BY stream, version LIMIT ${pageSize}`,
};

const batchesOf = {
  text: `
    SELECT sku, ref, purchased, promised, eta::text AS eta, cancelled FROM allocation.batch WHERE sku = ANY($1::text[])`,
};

const linesOfAfter = {
  text: `
    SELECT sku, order_id, line_id, qty, status, batch_ref, priority, displaced, since::text AS since
    FROM allocation.line WHERE sku = ANY($1::text[]) AND (sku, order_id, line_id) > ($2, $3, $4)
    ORDER BY sku, order_id, line_id LIMIT ${pageSize}`,
};

const rowsWithoutEvents = {
  text: `
    SELECT DISTINCT sku FROM (SELECT sku FROM allocation.batch UNION ALL SELECT sku FROM allocation.line) AS stored
    WHERE NOT EXISTS (SELECT FROM platform.event WHERE stream = '${prefix}' || sku)`,
};

const classes: ReadonlyMap<string, EventClass> = new Map(productEvents.map((event) => [event.type, event]));

/** Folds the streams one after the other: in memory are the rows of a product, or of some small ones, never the log. */
export class EventsFoldToRows extends Invariant {
  readonly name = 'folding the events of a product gives exactly its batches and lines';

  async *check(snapshot: Queryable): AsyncGenerator<string> {
    let folded: ProductFold[] = [];
    let rows = 0;
    for await (const outcome of foldAll(snapshot)) {
      if (typeof outcome === 'string') {
        yield outcome;
        continue;
      }
      folded.push(outcome);
      rows += 1 + outcome.batches.size + outcome.lines.size;
      if (rows < rowsAtOnce) continue;
      yield* differences(snapshot, folded);
      folded = [];
      rows = 0;
    }
    yield* differences(snapshot, folded);
    for (const { sku } of await snapshot.query<{ sku: string }>(rowsWithoutEvents))
      yield `${sku}: rows are stored, and no events`;
  }
}

/** The fold of every product, or what keeps its events from being folded. */
async function* foldAll(snapshot: Queryable): AsyncGenerator<ProductFold | string> {
  let fold: ProductFold | undefined;
  let at: { stream: string; version: number } = { stream: '', version: 0 };
  let failed = false;
  for (;;) {
    const page = await snapshot.query<StoredEvent>(eventsAfter, [at.stream, at.version]);
    for (const stored of page) {
      if (stored.stream !== at.stream) {
        if (fold && !failed) yield fold;
        fold = new ProductFold(stored.stream.slice(prefix.length));
        failed = false;
      }
      at = stored;
      const problem = failed ? undefined : applied(fold!, stored);
      if (problem === undefined) continue;
      failed = true;
      yield problem;
    }
    if (page.length < pageSize) break;
  }
  if (fold && !failed) yield fold;
}

/** @returns why it could not be applied */
function applied(fold: ProductFold, stored: StoredEvent): string | undefined {
  const eventClass = classes.get(stored.type);
  if (!eventClass) return `${fold.sku} version ${stored.version}: ${stored.type} is no event of a product`;
  try {
    fold.apply(stored.version, revive(stored, eventClass));
    return undefined;
  } catch (error) {
    return `${fold.sku} version ${stored.version}: ${(error as Error).message}`;
  }
}

/** What is told differently by the events and by the rows of some products. Empties the folds. */
async function* differences(snapshot: Queryable, folds: readonly ProductFold[]): AsyncGenerator<string> {
  if (folds.length === 0) return;
  const of = new Map(folds.map((fold) => [fold.sku, fold]));
  for (const row of await snapshot.query<BatchRow>(batchesOf, [[...of.keys()]])) {
    const { batches } = of.get(row.sku)!;
    yield* difference(`batch ${row.ref} of ${row.sku}`, textOfBatch(row), batches.get(row.ref), textOfBatch);
    batches.delete(row.ref);
  }
  let at: Pick<LineRow, 'sku' | 'order_id' | 'line_id'> = { sku: '', order_id: '', line_id: '' };
  for (;;) {
    const page = await snapshot.query<LineRow>(linesOfAfter, [[...of.keys()], at.sku, at.order_id, at.line_id]);
    for (const row of page) {
      const { lines } = of.get(row.sku)!;
      const name = `line ${row.line_id} of order ${row.order_id}, ${row.sku}`;
      const key = OrderLine.keyOf({ orderId: row.order_id, lineId: row.line_id });
      yield* difference(name, textOfRow(row), lines.get(key), textOfLine);
      lines.delete(key);
      at = row;
    }
    if (page.length < pageSize) break;
  }
  for (const { sku, batches, lines } of folds) {
    for (const batch of batches.values())
      yield* difference(`batch ${batch.ref} of ${sku}`, undefined, batch, textOfBatch);
    for (const line of lines.values())
      yield* difference(`line ${line.lineId} of order ${line.orderId}, ${sku}`, undefined, line, textOfLine);
  }
}

function* difference<T>(
  name: string,
  stored: string | undefined,
  folded: T | undefined,
  textOf: (folded: T) => string,
): Generator<string> {
  const told = folded && textOf(folded);
  if (stored !== told) yield `${name}: stored is ${stored ?? 'nothing'}, the events say ${told ?? 'nothing'}`;
}

const textOfBatch = ({ purchased, promised, eta, cancelled }: Omit<BatchRow, 'sku' | 'ref'>): string =>
  `${promised} promised of ${purchased}, ${eta ?? 'in the warehouse'}${cancelled ? ', cancelled' : ''}`;

type Standing = Pick<OrderLine, 'qty' | 'status' | 'batchRef' | 'priority' | 'displaced' | 'since'>;

const textOfLine = ({ qty, status, batchRef, priority, displaced, since }: Standing): string =>
  `${qty} ${status}${batchRef === null ? '' : ` from ${batchRef}`}, priority ${priority}${displaced ? ', displaced' : ''}, since ${since}`;

const textOfRow = ({ batch_ref: batchRef, since, ...row }: LineRow): string =>
  textOfLine({ ...row, batchRef, since: Number(since) });
