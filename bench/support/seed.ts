import { Client } from 'pg';

export interface Stock {
  readonly skus: number;
  /** Each holds units for more than a run. */
  readonly batches?: number;
  /** Lines that every SKU has promised before. */
  readonly past?: number;
}

/** Fills a database with stock of `sku-0` … as the service would have done it, events and all. */
export async function seed(databaseUrl: string, { skus, batches = 1, past = 0 }: Stock): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    for (const statement of statements(skus, batches, past)) await client.query(statement);
    await client.query('COMMIT');
    await client.query('VACUUM ANALYZE');
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}

function statements(skus: number, batches: number, past: number): string[] {
  const sku = `'sku-' || s`;
  const event = `'product:sku-' || s AS stream`;
  const everySku = `generate_series(0, ${skus - 1}) AS s`;
  const everyBatch = `${everySku}, generate_series(1, ${batches}) AS b`;
  const everyLine = `${everySku}, generate_series(1, ${past}) AS n`;
  const line = `${sku} AS sku, 'past-' || s || '-' || n AS order_id, '1' AS line_id`;
  return [
    `INSERT INTO allocation.product (sku, version, changed_at)
   SELECT ${sku}, ${batches + past}, clock_timestamp() FROM ${everySku}`,
    `INSERT INTO allocation.batch (sku, ref, purchased, promised, eta)
   SELECT ${sku}, 'batch-' || s || '-' || b, 2000000000, CASE b WHEN 1 THEN ${past} ELSE 0 END,
          CASE WHEN b > 1 THEN date '2030-01-01' + b::int END
   FROM ${everyBatch}`,
    `INSERT INTO allocation.batch_ref (ref, sku) SELECT 'batch-' || s || '-' || b, ${sku} FROM ${everyBatch}`,
    `INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
   SELECT ${event}, b, gen_random_uuid(), 'allocation.batch-created.v1',
          jsonb_build_object('ref', 'batch-' || s || '-' || b, 'sku', ${sku}, 'qty', 2000000000,
                             'eta', CASE WHEN b > 1 THEN (date '2030-01-01' + b::int)::text END),
          clock_timestamp(), 'bench'
   FROM ${everyBatch}`,
    `INSERT INTO allocation.line (sku, order_id, line_id, qty, status, batch_ref, priority, displaced, since)
   SELECT ${line}, 1, 'promised', 'batch-' || s || '-1', 0, false, ${batches} + n FROM ${everyLine}`,
    `INSERT INTO allocation.order_line (sku, order_id, line_id, qty, status, batch_ref, priority)
   SELECT ${line}, 1, 'promised', 'batch-' || s || '-1', 0 FROM ${everyLine}`,
    `INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
   SELECT ${event}, ${batches} + n, gen_random_uuid(), 'allocation.allocated.v1',
          jsonb_build_object('orderId', 'past-' || s || '-' || n, 'lineId', '1', 'sku', ${sku}, 'qty', 1,
                             'batchRef', 'batch-' || s || '-1', 'eta', NULL, 'priority', 0, 'reason', 'requested'),
          clock_timestamp(), 'bench'
   FROM ${everyLine}`,
  ];
}
