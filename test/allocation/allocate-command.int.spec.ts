import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { AppModule, modules } from '../../src/app.module';
import type { LineResult } from '../../src/allocation/http/allocate-lines';
import { runCommandLine } from '../../src/platform/cli/command-line';
import { freshDatabase, type TestDatabase } from '../support/database';

const commandLine = { version: '1.2.3', modules, application: AppModule.forRoot.bind(AppModule), outside: [] };
const line = (orderId: string, qty = 1): string => JSON.stringify({ orderId, sku: 'LAMP', qty });

describe('batchwise allocate --ndjson', () => {
  let db: TestDatabase;
  let folder: string;

  beforeAll(async () => {
    db = await freshDatabase();
    folder = mkdtempSync(join(tmpdir(), 'batchwise-allocate-'));
    const client = await db.client();
    await client.query(`
      INSERT INTO allocation.product (sku, version, changed_at) VALUES ('LAMP', 1, now());
      INSERT INTO allocation.batch (sku, ref, purchased, promised) VALUES ('LAMP', 'b1', 100, 0);
      INSERT INTO allocation.batch_ref (ref, sku) VALUES ('b1', 'LAMP')`);
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await db.drop();
  });

  const bars: { label: string; total: number; done: number[] }[] = [];

  async function run(...args: string[]): Promise<{ code: number; results: LineResult[]; err: string[] }> {
    const out: string[] = [];
    const err: string[] = [];
    bars.length = 0;
    const env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true', LOG_LEVEL: 'error' };
    const code = await runCommandLine(commandLine, ['allocate', ...args], env, {
      out: (text) => void out.push(text),
      note: (text) => void err.push(text),
      progress: (label, total) => {
        const done: number[] = [];
        bars.push({ label, total, done });
        return { update: (bytes) => void done.push(bytes), end: () => undefined };
      },
    });
    const results = out.flatMap((text) => text.split('\n')).map((text) => JSON.parse(text) as LineResult);
    return { code, results, err };
  }

  it('promises the lines of a file, shows how far it is, and succeeds if all do', async () => {
    const file = join(folder, 'good.ndjson');
    const text = `${line('f1')}\n\n${line('f2')}\n`;
    writeFileSync(file, text);
    const { code, results, err } = await run('--ndjson', file);
    expect([code, err]).toEqual([0, ['2 of 2 order lines are promised, or wait for stock.']]);
    expect(results).toMatchObject([
      { line: 1, status: 201, allocation: { orderId: 'f1', batchRef: 'b1' } },
      { line: 3, status: 201, allocation: { orderId: 'f2', batchRef: 'b1' } },
    ]);
    expect(bars).toEqual([{ label: file, total: text.length, done: [text.length] }]);
    expect((await run('--ndjson', file)).results.map(({ status }) => status)).toEqual([200, 200]);
  });

  it.each([[['--ndjson']], [['--ndjson', '-']]])(
    'reads standard input with %j, and fails if a line does',
    async (args) => {
      const input = Readable.from([Buffer.from(`${line('i1')}\n{"order`), Buffer.from(`\n${line('i2', 1_000)}`)]);
      jest.spyOn(process, 'stdin', 'get').mockReturnValue(input as typeof process.stdin);
      const { code, results, err } = await run(...args);
      expect([code, err]).toEqual([1, ['1 of 3 order lines are promised, or wait for stock.']]);
      expect(results.map(({ line: number, problem }) => [number, problem?.code])).toEqual([
        [1, undefined],
        [2, 'malformed-json'],
        [3, 'out-of-stock'],
      ]);
    },
  );

  it('says what is wrong with the command', async () => {
    expect(await run()).toMatchObject({ code: 2, results: [] });
    const absent = await run('--ndjson', join(folder, 'absent.ndjson'));
    expect(absent).toMatchObject({ code: 1, err: [expect.stringContaining('absent.ndjson: it cannot be read')] });
  });
});
