import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { endAllClis, runCli, startCli } from '../support/cli';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';

const batches = 10_000;

describe('batchwise import, killed in the middle,', () => {
  const folder = mkdtempSync(join(tmpdir(), 'batchwise-import-'));
  const file = join(folder, 'stock.csv');
  let db: TestDatabase;
  let client: Client;
  let env: Record<string, string>;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true' };
    const rows = Array.from({ length: batches }, (_, place) => `k${place},SKU-${place % 500},${place},\n`);
    writeFileSync(file, `ref,sku,qty,eta\n${rows.join('')}`);
  });
  afterAll(async () => {
    endAllClis();
    rmSync(folder, { recursive: true, force: true });
    await db.drop();
  });

  const imports = async <Row>(): Promise<Row[]> =>
    (await client.query('SELECT * FROM inventory.import ORDER BY started_at')).rows as Row[];

  it('goes on where it was when it is called again, and does nothing twice', async () => {
    const killed = startCli(env, 'import', file);
    await until(async () => ((await imports<{ created: number }>())[0]?.created ?? 0) > 1_000, 25_000);
    killed.kill('SIGKILL');
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' });
    const [left] = await imports<{ status: string; created: number }>();
    expect(left).toMatchObject({ status: 'applying' });
    expect(left!.created).toBeLessThan(batches);
    // What lasts a few seconds otherwise: the one who was at it counts as gone.
    await client.query(`UPDATE inventory.import SET lease_until = '-infinity'`);

    const again = await runCli(env, 'import', file);
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining('goes on where it was') });
    const after = await imports<{ status: string; rows: number; created: number; unchanged: number }>();
    expect(after).toMatchObject([{ status: 'applied', rows: batches }]);
    // Those in flight when it was killed may have been done already.
    expect(after[0]!.created + after[0]!.unchanged).toBe(batches);
    expect(after[0]!.created).toBeGreaterThan(left!.created);
    const { rows } = await client.query<{ batches: number; events: number }>(`
      SELECT (SELECT count(*)::int FROM allocation.batch) AS batches,
             (SELECT count(*)::int FROM platform.event WHERE type = 'allocation.batch-created.v1') AS events`);
    expect(rows).toEqual([{ batches, events: batches }]);
    expect((await client.query('SELECT 1 FROM inventory.import_row')).rows).toEqual([]);
    expect((await runCli(env, 'verify')).code).toBe(0);
  }, 90_000);
});
