// Generates a TypeScript client from the built server's own OpenAPI document, compiles it strictly, and allocates through it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createClient } from '@hey-api/openapi-ts';
import { withBuiltService } from './built-service.mjs';

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

/** What a team would write against the client. It compiles only if the document has precise types. */
const shop = `
import { createClient } from './client/client/index.js';
import { allocate, type AllocatedLine, createBatch, getOrder, type Problem } from './client/index.js';

export async function firstAllocation(baseUrl: string): Promise<{ line: AllocatedLine; stands: string; problem: Problem }> {
  const client = createClient({ baseUrl });
  const batch = { ref: 'batch-001', sku: 'SMALL-TABLE', qty: 20, eta: null };
  const created = await createBatch({ client, body: batch, throwOnError: true });
  const available: number = created.data.batch.available;

  const body = { orderId: 'order-001', sku: batch.sku, qty: 2 };
  const { data: line } = await allocate({ client, body, throwOnError: true });
  // @ts-expect-error a quantity is a number
  const wrong: Parameters<typeof allocate>[0]['body'] = { ...body, qty: '2' };
  // @ts-expect-error the batch may be missing
  const ref: string = line.batchRef;

  const refused = await allocate({ client, body: { ...body, orderId: 'order-002', qty: available } });
  if (refused.error === undefined) throw new Error('more was promised than there is');
  const order = await getOrder({ client, path: { orderId: line.orderId }, throwOnError: true });
  const stands: 'promised' | 'backordered' | 'refused' | undefined = order.data.lines[0]?.status;
  return { line, stands: stands ?? 'nowhere', problem: refused.error };
}
`;

const folder = await mkdtemp(join(tmpdir(), 'batchwise-client-'));
try {
  await withBuiltService({}, async (url) => {
    await createClient({
      input: `${url}/docs/openapi.json`,
      output: { path: join(folder, 'client'), importFileExtension: '.js' },
      logs: { file: false, level: 'warn' },
    });
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'shop.ts'), shop);
    const strictly = ['--strict', '--noUncheckedIndexedAccess', '--target', 'es2023', '--module', 'nodenext'];
    const browser = ['--lib', 'es2023,dom,dom.iterable'];
    execFileSync(process.execPath, [tsc, ...strictly, ...browser, 'shop.ts'], { cwd: folder, stdio: 'inherit' });

    const { firstAllocation } = await import(pathToFileURL(join(folder, 'shop.js')).href);
    const { line, stands, problem } = await firstAllocation(url);
    console.log(JSON.stringify({ line, stands, problem }));
    assert.deepEqual(line, {
      orderId: 'order-001',
      lineId: '1',
      sku: 'SMALL-TABLE',
      qty: 2,
      status: 'promised',
      batchRef: 'batch-001',
      eta: null,
      priority: 0,
      repeated: false,
    });
    assert.equal(stands, 'promised');
    assert.equal(problem.code, 'out-of-stock');
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
