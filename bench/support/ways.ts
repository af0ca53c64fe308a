import { Pool, type PoolClient } from 'pg';
import { type Line, openUnitOfWork } from './by-hand';
import { createProcedure } from './stored-procedure';

/** A way of promising order lines on the service's own tables, so that ways can be compared. */
export interface Way {
  readonly name: string;
  open(databaseUrl: string): OpenWay | Promise<OpenWay>;
}

export interface OpenWay {
  /** @returns whether the line was promised; a way may give up */
  allocate(line: Line): Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** More connections make none of these ways faster on a few cores. */
const poolSize = 16;
/** Attempts of the optimistic way before it gives up. */
const attempts = 20;

export const ways: readonly Way[] = [
  { name: 'optimistic, with retries', open: (url) => openPool(url, optimistic) },
  { name: 'FOR UPDATE per request', open: (url) => openPool(url, pessimistic) },
  {
    name: 'stored procedure per request',
    async open(url) {
      await createProcedure(url);
      return openPool(url, byProcedure);
    },
  },
  {
    name: 'grouped',
    async open(url) {
      const { unitOfWork, close } = await openUnitOfWork(url);
      return {
        close,
        async allocate(line) {
          await unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) =>
            products.get(line.sku).allocate(line),
          );
          return true;
        },
      };
    },
  },
];

function openPool(databaseUrl: string, allocate: (client: PoolClient, line: Line) => Promise<boolean>): OpenWay {
  const pool = new Pool({ connectionString: databaseUrl, max: poolSize });
  return {
    close: () => pool.end(),
    async allocate(line) {
      const client = await pool.connect();
      try {
        return await allocate(client, line);
      } finally {
        client.release();
      }
    },
  };
}

async function byProcedure(client: PoolClient, { sku, orderId, qty }: Line): Promise<boolean> {
  const call = { name: 'procedure', text: 'SELECT ways.allocate($1, $2, $3) IS NOT NULL AS promised' };
  const { rows } = await client.query<{ promised: boolean }>({ ...call, values: [sku, orderId, qty] });
  return rows[0]!.promised;
}

async function pessimistic(client: PoolClient, line: Line): Promise<boolean> {
  await client.query('BEGIN');
  const version = await versionOf(client, line.sku, 'FOR NO KEY UPDATE');
  const promised = await decideAndStore(client, line, version);
  await client.query(promised ? 'COMMIT' : 'ROLLBACK');
  return promised;
}

async function optimistic(client: PoolClient, line: Line): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const version = await versionOf(client, line.sku, '');
    await client.query('BEGIN');
    const promised = await decideAndStore(client, line, version);
    await client.query(promised ? 'COMMIT' : 'ROLLBACK');
    if (promised) return true;
  }
  return false;
}

async function versionOf(client: PoolClient, sku: string, lock: string): Promise<number> {
  const { rows } = await client.query<{ version: string }>({
    name: `version ${lock}`,
    text: `SELECT version FROM allocation.product WHERE sku = $1 ${lock}`,
    values: [sku],
  });
  return Number(rows[0]!.version);
}

/** One statement after another, as an object-relational mapper would send them. */
async function decideAndStore(client: PoolClient, line: Line, version: number): Promise<boolean> {
  const { sku, orderId, lineId, qty } = line;
  const run = <Row extends object>(text: string, values: unknown[]) =>
    client.query<Row>({ name: text.slice(0, 50), text, values });
  await run('SELECT status FROM allocation.line WHERE sku = $1 AND order_id = $2 AND line_id = $3', [
    sku,
    orderId,
    lineId,
  ]);
  const { rows: batches } = await run<{ ref: string; eta: string | null }>(
    `SELECT ref, eta::text AS eta FROM allocation.batch
     WHERE sku = $1 AND open AND purchased - promised >= $2 ORDER BY eta NULLS FIRST, ref LIMIT 1`,
    [sku, qty],
  );
  const batch = batches[0];
  if (!batch) return false;
  const { rowCount } = await run(
    'UPDATE allocation.product SET version = $2 + 1, changed_at = clock_timestamp() WHERE sku = $1 AND version = $2',
    [sku, version],
  );
  if (rowCount !== 1) return false;
  const stored = [sku, orderId, lineId, qty, batch.ref];
  await run('UPDATE allocation.batch SET promised = promised + $3 WHERE sku = $1 AND ref = $2', [sku, batch.ref, qty]);
  await run(`INSERT INTO allocation.line VALUES ($1, $2, $3, $4, 'promised', $5, 0, false, $6)`, [
    ...stored,
    version + 1,
  ]);
  await run(
    `INSERT INTO allocation.order_line (sku, order_id, line_id, qty, status, batch_ref, priority)
     VALUES ($1, $2, $3, $4, 'promised', $5, 0)`,
    stored,
  );
  const data = { ...line, batchRef: batch.ref, eta: batch.eta, priority: 0, reason: 'requested' };
  await run(
    `INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
     VALUES ('product:' || $1, $2, gen_random_uuid(), 'allocation.allocated.v1', $3, clock_timestamp(), 'bench')`,
    [sku, version + 1, JSON.stringify(data)],
  );
  return true;
}
