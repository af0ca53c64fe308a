import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { Client } from 'pg';
import { AppModule } from '../../src/app.module';
import { ImportWork } from '../../src/inventory/messaging/import-work';
import { Imports } from '../../src/inventory/messaging/imports';
import { SupplierFiles } from '../../src/inventory/messaging/supplier-files';
import { Config } from '../../src/platform/config';
import { bytesOf } from '../../src/platform/csv/csv-file';
import type { Figure } from '../support/figure';
import { inPairs } from '../support/pairs';
import { memoryOf } from '../support/server';

/** As many as the command line keeps under way. */
const width = 128;
const batchesPerSku = 10;
const cli = join(__dirname, '../../src/cli.js');

/** What it costs to take a supplier's file in by the rules, every batch with its event: to writing the rows down where they end up. */
export const importToCopy: Figure = {
  id: 'P11',
  what: 'import of a CSV of 100,000 batches of 10,000 SKUs, rows per second, to COPY of the same rows into the table of batches',
  target: 0.1,
  better: 'higher',
  measure: (context) =>
    withFile(context.quick ? 2_000 : 100_000, (file, rows) =>
      inPairs(
        context,
        'rows/s',
        {
          name: 'import',
          measure: async () => rows / (await importSeconds(await context.freshDatabase(), file, rows)),
        },
        { name: 'COPY', measure: async () => rows / (await copySeconds(await context.freshDatabase(), file, rows)) },
      ),
    ),
};

/**
 * Whether the memory of an import depends on the size of the file: the most that the process held. It goes up and down with the
 * garbage; the small file, too, takes long enough for that.
 */
export const importMemory: Figure = {
  id: 'P11-memory',
  what: 'most resident memory of batchwise import: a CSV of 500,000 rows, to one of 100,000',
  target: 1.15,
  better: 'lower',
  async measure(context) {
    const most = (rows: number) => async (): Promise<number> =>
      withFile(context.quick ? rows / 20 : rows, async (file) => memoryOfImport(await context.freshDatabase(), file));
    return inPairs(
      context,
      'MB',
      { name: 'the large file', measure: most(500_000) },
      { name: 'the small one', measure: most(100_000) },
    );
  },
};

async function withFile<T>(rows: number, use: (file: string, rows: number) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'batchwise-import-'));
  chmodSync(folder, 0o755);
  const file = join(folder, 'stock.csv');
  try {
    await pipeline(Readable.from(linesOf(rows)), createWriteStream(file));
    return await use(file, rows);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Batches of a SKU lie far from each other, so that the commands of a transaction have little in common. */
function* linesOf(rows: number): Generator<string> {
  yield 'ref,sku,qty,eta\n';
  const skus = rows / batchesPerSku;
  for (let row = 0; row < rows; row += 1)
    yield `batch-${row},sku-${row % skus},${1 + (row % 500)},${row % 2 === 0 ? '' : '2030-01-01'}\n`;
}

/** In this process, so that only the import is measured and not the start of an application. */
async function importSeconds(databaseUrl: string, file: string, rows: number): Promise<number> {
  const config = Config.load({ LOG_LEVEL: 'warn', LOG_FORMAT: 'json' }).withDatabase(databaseUrl);
  const app = await NestFactory.createApplicationContext(AppModule.forRoot(config), { logger: false });
  try {
    const imports = app.get(Imports);
    const start = performance.now();
    const { id, digest } = await app.get(SupplierFiles).receive('bench', bytesOf(file), { dryRun: false });
    await imports.seal(id, digest, { again: false });
    await app.get(ImportWork).apply(id, { width });
    const seconds = (performance.now() - start) / 1000;
    const state = await imports.find(id);
    if (state?.status !== 'applied' || state.created !== rows)
      throw new Error(`the import ended as ${JSON.stringify(state)}`);
    return seconds;
  } finally {
    await app.close();
  }
}

async function copySeconds(databaseUrl: string, file: string, rows: number): Promise<number> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(`
      ALTER TABLE allocation.batch ALTER COLUMN promised SET DEFAULT 0;
      INSERT INTO allocation.product (sku, version, changed_at)
        SELECT 'sku-' || n, 1, now() FROM generate_series(0, ${rows / batchesPerSku - 1}) AS n`);
    const start = performance.now();
    await client.query(
      `COPY allocation.batch (ref, sku, purchased, eta) FROM '${file}' WITH (FORMAT csv, HEADER true)`,
    );
    return (performance.now() - start) / 1000;
  } finally {
    await client.end();
  }
}

async function memoryOfImport(databaseUrl: string, file: string): Promise<number> {
  const child = spawn(process.execPath, [cli, 'import', file], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', DATABASE_URL: databaseUrl },
    stdio: 'ignore',
  });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  let most = 0;
  while (child.exitCode === null && child.signalCode === null) {
    const now = memoryOf(child.pid!);
    if (now > most) most = now;
    await Promise.race([exit, pause(50)]);
  }
  const [code] = await exit;
  if (code !== 0) throw new Error(`batchwise import ended with ${code}`);
  return most;
}
