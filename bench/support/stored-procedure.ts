import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Pool } from 'pg';
import { newLine } from './orders';

/**
 * Allocating as a stored procedure, written as well as we can: one round trip, one transaction, the same rows and event as the
 * service's. Each statement of it sees what was committed while it waited for the lock.
 */
const definition = `
  CREATE SCHEMA ways;
  CREATE FUNCTION ways.allocate(wanted text, ordered_by text, units integer) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    next bigint;
    chosen record;
  BEGIN
    SELECT version + 1 INTO STRICT next FROM allocation.product WHERE sku = wanted FOR NO KEY UPDATE;
    SELECT batch_ref AS ref INTO chosen FROM allocation.line WHERE (sku, order_id, line_id) = (wanted, ordered_by, '1');
    IF FOUND THEN
      RETURN chosen.ref;
    END IF;
    SELECT ref, eta INTO chosen FROM allocation.batch
    WHERE sku = wanted AND open AND purchased - promised >= units ORDER BY eta NULLS FIRST, ref LIMIT 1;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
    UPDATE allocation.product SET version = next, changed_at = clock_timestamp() WHERE sku = wanted;
    UPDATE allocation.batch SET promised = promised + units WHERE sku = wanted AND ref = chosen.ref;
    INSERT INTO allocation.line VALUES (wanted, ordered_by, '1', units, 'promised', chosen.ref, 0, false, next);
    INSERT INTO allocation.order_line VALUES (ordered_by, wanted, '1', units, 'promised', chosen.ref, 0);
    INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
    VALUES ('product:' || wanted, next, gen_random_uuid(), 'allocation.allocated.v1',
            jsonb_build_object('orderId', ordered_by, 'lineId', '1', 'sku', wanted, 'qty', units, 'batchRef', chosen.ref,
                               'eta', chosen.eta, 'priority', 0, 'reason', 'requested'),
            clock_timestamp(), 'bench');
    RETURN chosen.ref;
  END $$`;

const clients = 16;
const run = promisify(execFile);
const hasPgbench = spawnSync('pgbench', ['--version']).error === undefined;
let runs = 0;

export async function createProcedure(databaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(definition);
  await client.end();
}

export interface Called {
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly perSecond: number;
}

/** Calls the procedure for one SKU from 16 clients, by `pgbench` where it is installed. */
export const callProcedure = (databaseUrl: string, sku: string, seconds: number): Promise<Called> =>
  hasPgbench ? byPgbench(databaseUrl, sku, Math.ceil(seconds)) : byPg(databaseUrl, sku, seconds);

async function byPgbench(databaseUrl: string, sku: string, seconds: number): Promise<Called> {
  const directory = mkdtempSync(join(tmpdir(), 'batchwise-pgbench-'));
  try {
    const script = join(directory, 'allocate.sql');
    const order = `'pgbench-${process.pid}-${Date.now()}-${(runs += 1)}-' || :client_id::text || '-' || :sent::text`;
    writeFileSync(script, `\\set sent :sent + 1\nSELECT ways.allocate('${sku}', ${order}, 1);\n`);
    const { hostname, port, username, pathname } = new URL(databaseUrl);
    const { stdout } = await run('pgbench', [
      ...['-h', hostname, '-p', port, '-U', username, '-n', '-M', 'prepared', '-D', 'sent=0', '-f', script],
      ...['-c', String(clients), '-j', '2', '-T', String(seconds), pathname.slice(1)],
    ]);
    const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1]);
    return {
      acknowledged: number(/actually processed: (\d+)/),
      unanswered: 0,
      perSecond: number(/^tps = ([\d.]+)/m),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function byPg(databaseUrl: string, sku: string, seconds: number): Promise<Called> {
  const pool = new Pool({ connectionString: databaseUrl, max: clients });
  const start = performance.now();
  let acknowledged = 0;
  const client = async (): Promise<void> => {
    for (; performance.now() < start + seconds * 1000; acknowledged += 1) {
      const { orderId } = newLine(sku);
      await pool.query({ name: 'allocate', text: 'SELECT ways.allocate($1, $2, 1)', values: [sku, orderId] });
    }
  };
  try {
    await Promise.all(Array.from({ length: clients }, client));
    return { acknowledged, unanswered: 0, perSecond: (acknowledged * 1000) / (performance.now() - start) };
  } finally {
    await pool.end();
  }
}
