import { exactInstantOf } from '../../platform/database/instants';
import type { LineStatus } from '../contract/order-lines';
import { Product } from '../domain/product';

/** The statements of the product store. All are set-based; those of the hot path are prepared once per connection. */

export interface FoundSku {
  readonly ref: string | null;
  readonly order_id: string | null;
  readonly sku: string;
}

/** Not prepared: it runs outside of the unit of work's transactions, whose settings keep old plans good for new tables. */
export const findSkus = {
  text: `
    SELECT found.ref, NULL AS order_id, found.sku FROM unnest($1::text[]) AS asked (ref)
    CROSS JOIN LATERAL (SELECT * FROM allocation.batch_ref AS r WHERE r.ref = asked.ref LIMIT 1) AS found
    UNION ALL
    SELECT DISTINCT NULL, order_id, sku FROM allocation.order_line WHERE order_id = ANY($2::text[])`,
};

export interface ProductRow {
  readonly sku: string;
  /** null: someone outside holds the row's lock. */
  readonly version: string | null;
  readonly changed_at: string | null;
}

const changedAt = `${exactInstantOf('changed_at')} AS changed_at`;

/*
 * The advisory locks keep Batchwise's own transactions apart; the row locks find out whoever comes from elsewhere. Taken
 * behind the advisory ones they do not change the order of transaction ids.
 */
const lockProductRows = (name: string, lock: string) => ({
  name,
  text: `
    WITH locked AS (SELECT * FROM allocation.product WHERE sku = ANY($1::text[]) ORDER BY sku ${lock})
    SELECT sku, version, ${changedAt}
    FROM locked
    UNION ALL
    SELECT sku, NULL, NULL FROM allocation.product
    WHERE sku = ANY($1::text[]) AND sku NOT IN (SELECT sku FROM locked)`,
});
export const tryToLockProducts = lockProductRows('product-try-to-lock', 'FOR NO KEY UPDATE SKIP LOCKED');
export const lockProducts = lockProductRows('product-lock', 'FOR NO KEY UPDATE');

/** Without locks, for those who only look. */
export const readProducts = {
  name: 'product-read',
  text: `SELECT sku, version, ${changedAt} FROM allocation.product WHERE sku = ANY($1::text[])`,
};

/** Products of whose batches someone outside has locked one. Locking writes, so it is not done as a matter of course. */
export const productsWithLockedBatches = {
  name: 'product-with-locked-batches',
  text: `
    WITH free AS (SELECT sku, ref FROM allocation.batch WHERE sku = ANY($1::text[]) FOR NO KEY UPDATE SKIP LOCKED)
    SELECT DISTINCT sku FROM allocation.batch
    WHERE sku = ANY($1::text[]) AND (sku, ref) NOT IN (SELECT sku, ref FROM free)`,
};

export interface BatchRow {
  readonly sku: string;
  readonly ref: string;
  readonly purchased: number;
  readonly promised: number;
  readonly eta: string | null;
  readonly cancelled: boolean;
}

/*
 * Looked up one by one, by its whole key: LIMIT keeps the planner from turning the join round and reading the whole table, which is
 * what costs least while it has hardly a row.
 */
const oneOf = (table: string, where: string, columns = '*') =>
  `LATERAL (SELECT ${columns} FROM allocation.${table} AS t WHERE ${where} LIMIT 1)`;
const batchColumns = 'b.sku, b.ref, b.purchased, b.promised, b.eta::text AS eta, b.cancelled';

export const openBatches = {
  name: 'product-open-batches',
  text: `SELECT ${batchColumns} FROM allocation.batch AS b WHERE b.sku = ANY($1::text[]) AND b.open`,
};

export const batchesByRef = {
  name: 'product-batches-by-ref',
  text: `
    SELECT ${batchColumns} FROM allocation.batch_ref AS r CROSS JOIN ${oneOf('batch', 't.sku = r.sku AND t.ref = r.ref')} AS b
    WHERE r.ref = ANY($1::text[])`,
};

export interface LineRow {
  readonly sku: string;
  readonly order_id: string;
  readonly line_id: string;
  readonly qty: number;
  readonly status: LineStatus;
  readonly batch_ref: string | null;
  readonly priority: number;
  readonly displaced: boolean;
  readonly since: string;
}

export interface LineWithBatchRow extends LineRow {
  readonly batch: BatchRow | null;
}

const lineColumns =
  'l.sku, l.order_id, l.line_id, l.qty, l.status, l.batch_ref, l.priority, l.displaced, l.since::text AS since';
const withBatch = `
  ${lineColumns}, CASE WHEN b.ref IS NOT NULL THEN json_build_object('sku', b.sku, 'ref', b.ref, 'purchased', b.purchased,
    'promised', b.promised, 'eta', b.eta, 'cancelled', b.cancelled) END AS batch`;
const hasKeyOf = (key: string) => `t.sku = ${key}.sku AND t.order_id = ${key}.order_id AND t.line_id = ${key}.line_id`;
const lineOf = (key: string) => oneOf('line', hasKeyOf(key));
const askedLines = 'unnest($1::text[], $2::text[], $3::text[]) AS asked (sku, order_id, line_id)';
const joinBatch = `LEFT JOIN ${oneOf('batch', 't.sku = l.sku AND t.ref = l.batch_ref')} AS b ON true`;

export const linesByIdentity = {
  name: 'product-lines-by-identity',
  text: `
    SELECT ${withBatch} FROM ${askedLines}
    CROSS JOIN ${lineOf('asked')} AS l ${joinBatch}`,
};

export const linesOfOrders = {
  name: 'product-lines-of-orders',
  text: `
    SELECT ${withBatch} FROM allocation.order_line AS o CROSS JOIN ${lineOf('o')} AS l ${joinBatch}
    WHERE o.order_id = ANY($1::text[])`,
};

const queueOrder = 'l.priority DESC, l.displaced DESC, l.since';

export const queueHeads = {
  name: 'product-queue-heads',
  text: `
    SELECT head.* FROM unnest($1::text[]) AS asked (sku)
    CROSS JOIN LATERAL (
      SELECT ${lineColumns} FROM allocation.line AS l
      WHERE l.sku = asked.sku AND l.status = 'backordered' ORDER BY ${queueOrder} LIMIT 1
    ) AS head`,
};

/** One more than a change may move, so that the domain sees that it is too many. */
export const linesAtOnce = Product.maxLinesMovedAtOnce + 1;

/**
 * Lines in an order, up to and with the one that makes up the units asked for. Every line has a unit at least, so no more
 * lines than units are read, however many there are.
 */
const run = (name: string, where: string, order: string, units: string) => ({
  name,
  text: `
    SELECT ${lineColumns}
    FROM (SELECT l.*, sum(l.qty) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - l.qty AS units_before
          FROM allocation.line AS l WHERE l.sku = $1 AND ${where}
          ORDER BY ${order} LIMIT least(${units}::bigint, ${linesAtOnce})) AS l
    WHERE l.units_before < ${units}::bigint
    ORDER BY ${order}`,
});

export const promisedFrom = {
  newest: run('product-newest-of-batch', `l.status = 'promised' AND l.batch_ref = $2`, 'l.since DESC', '$3'),
  oldest: run('product-oldest-of-batch', `l.status = 'promised' AND l.batch_ref = $2`, 'l.since', '$3'),
};

export const backorders = run('product-backorders', `l.status = 'backordered'`, queueOrder, '$2');

export const insertProducts = {
  name: 'product-insert',
  text: `
    INSERT INTO allocation.product (sku, version, changed_at)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[])`,
};

export const updateProducts = {
  name: 'product-update',
  text: `
    WITH changed AS (
      UPDATE allocation.product AS p SET version = n.version, changed_at = n.changed_at
      FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[]) AS n (sku, version, changed_at, before)
      WHERE p.sku = ANY($1::text[]) AND p.sku = n.sku AND p.version = n.before
      RETURNING 1
    )
    SELECT platform.expect_rows(count(*), $5) FROM changed`,
};

export const insertBatches = {
  name: 'product-insert-batches',
  text: `
    WITH added AS (
      SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::date[], $6::boolean[])
        AS n (sku, ref, purchased, promised, eta, cancelled)
    ), referenced AS (
      -- The one key that products share: in one order, so that two transactions never wait for each other.
      INSERT INTO allocation.batch_ref (ref, sku) SELECT ref, sku FROM added ORDER BY ref
    )
    INSERT INTO allocation.batch (sku, ref, purchased, promised, eta, cancelled) SELECT * FROM added`,
};

export const updateBatches = {
  name: 'product-update-batches',
  text: `
    WITH changed AS (
      UPDATE allocation.batch AS b
      SET purchased = n.purchased, promised = n.promised, eta = n.eta, cancelled = n.cancelled
      FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::date[], $6::boolean[])
        AS n (sku, ref, purchased, promised, eta, cancelled)
      WHERE b.sku = ANY($1::text[]) AND b.sku = n.sku AND b.ref = n.ref
      RETURNING 1
    )
    SELECT platform.expect_rows(count(*), $7) FROM changed`,
};

const askedIn = (table: string) =>
  `ctid = ANY(ARRAY(SELECT l.ctid FROM ${askedLines} CROSS JOIN ${oneOf(table, hasKeyOf('asked'), 'ctid')} AS l))`;

export const deleteLines = {
  name: 'product-delete-lines',
  text: `
    WITH gone AS (
      DELETE FROM allocation.line WHERE ${askedIn('line')} RETURNING 1
    ), gone_of_order AS (
      DELETE FROM allocation.order_line WHERE ${askedIn('order_line')} RETURNING 1
    )
    SELECT platform.expect_rows((SELECT count(*) FROM gone), $4),
           platform.expect_rows((SELECT count(*) FROM gone_of_order), $4)`,
};

/** Lines that are stored. An INSERT that always finds its row: like no UPDATE it looks them up by their keys, however planned. */
export const updateLines = {
  name: 'product-update-lines',
  text: `
    WITH kept AS (
      SELECT * FROM json_to_recordset($1::json)
        AS n (sku text, order_id text, line_id text, qty int, status text, batch_ref text, priority int,
              displaced boolean, since bigint)
    ), of_order AS (
      INSERT INTO allocation.order_line (sku, order_id, line_id, qty, status, batch_ref, priority)
      SELECT sku, order_id, line_id, qty, status, batch_ref, priority FROM kept
      ON CONFLICT (order_id, sku, line_id) DO UPDATE
      SET qty = excluded.qty, status = excluded.status, batch_ref = excluded.batch_ref, priority = excluded.priority
    )
    INSERT INTO allocation.line (sku, order_id, line_id, qty, status, batch_ref, priority, displaced, since)
    SELECT * FROM kept
    ON CONFLICT (sku, order_id, line_id) DO UPDATE
    SET qty = excluded.qty, status = excluded.status, batch_ref = excluded.batch_ref, priority = excluded.priority,
        displaced = excluded.displaced, since = excluded.since`,
};
