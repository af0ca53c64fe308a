import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { type CommandRun, Commands } from '../support/commands';
import { freshDatabase, type TestDatabase } from '../support/database';

describe('batchwise import', () => {
  let db: TestDatabase;
  let client: Client;
  let commands: Commands;
  let folder: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    commands = await Commands.on(db.url);
    folder = mkdtempSync(join(tmpdir(), 'batchwise-import-'));
  });
  afterAll(async () => {
    await commands.close();
    rmSync(folder, { recursive: true, force: true });
    await db.drop();
  });
  beforeEach(() =>
    client.query(`
      TRUNCATE allocation.product, allocation.batch, allocation.batch_ref, allocation.line, allocation.order_line,
        platform.event, inventory.import, inventory.import_row, inventory.import_reject`),
  );

  /** Runs `batchwise …`, which calls the files by their names. */
  async function run(name: string, ...args: string[]): Promise<CommandRun> {
    const { code, out, err } = await commands.run(name, ...args);
    const withoutFolder = (line: string): string => line.replaceAll(`${folder}/`, '');
    return { code, out: out.map(withoutFolder), err: err.map(withoutFolder) };
  }

  const write = (name: string, ...lines: (string | Buffer)[]): string => {
    const path = join(folder, name);
    writeFileSync(path, Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])));
    return path;
  };
  const stock = async (): Promise<string[]> => {
    const { rows } = await client.query<{ text: string }>(`
      SELECT concat_ws(' ', ref, sku, purchased, eta, CASE WHEN cancelled THEN 'cancelled' END) AS text
      FROM allocation.batch ORDER BY ref`);
    return rows.map(({ text }) => text);
  };
  const events = async (): Promise<number> =>
    (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM platform.event')).rows[0]!.n;

  it('makes the stock what the file says, once', async () => {
    const path = write('one.csv', 'ref,sku,qty,eta', 'b1,LAMP,10,', 'b2,LAMP,5,2030-01-01', 'b3,SOFA,0,');
    expect(await run('import', path)).toEqual({
      code: 0,
      out: ['one.csv: 3 created, 0 changed, 0 unchanged, 0 rejected.'],
      err: [],
    });
    expect(await stock()).toEqual(['b1 LAMP 10', 'b2 LAMP 5 2030-01-01', 'b3 SOFA 0']);
    const again = await run('import', path);
    expect(again).toEqual({
      code: 0,
      out: [],
      err: [
        expect.stringMatching(/^one\.csv was applied at 20\d\d-.*Z: nothing is done; --again applies it once more\.$/),
      ],
    });
    expect((await run('import', '--again', path)).out).toEqual([
      'one.csv: 0 created, 0 changed, 3 unchanged, 0 rejected.',
    ]);
    expect(await events()).toBe(3);
    expect((await client.query('SELECT 1 FROM inventory.import_row')).rows).toEqual([]);
    expect((await client.query('SELECT 1 FROM inventory.import WHERE NOT tidy')).rows).toEqual([]);
  });

  it('changes what is different, in the order of columns that the file has, and leaves the rest alone', async () => {
    await run('import', write('before.csv', 'ref,sku,qty,eta', 'b1,LAMP,10,', 'b2,LAMP,5,2030-01-01', 'b3,LAMP,1,'));
    const path = write('after.csv', '\uFEFFqty,"sku",eta,ref\r', '8,LAMP,,b1\r', '6,LAMP,2030-02-01,"b2"\r', '\r');
    expect((await run('import', path)).out).toEqual(['after.csv: 0 created, 2 changed, 0 unchanged, 0 rejected.']);
    expect(await stock()).toEqual(['b1 LAMP 8', 'b2 LAMP 6 2030-02-01', 'b3 LAMP 1']);
    const arrived = write('arrived.csv', 'ref,sku,qty', 'b2,LAMP,6');
    expect((await run('import', arrived)).out).toEqual(['arrived.csv: 0 created, 1 changed, 0 unchanged, 0 rejected.']);
    expect((await stock())[1]).toBe('b2 LAMP 6');
  });

  it('tells bad rows by their lines, writes them so that no spreadsheet runs them, and applies the others', async () => {
    await run('import', write('before.csv', 'ref,sku,qty,eta', 'b1,LAMP,10,', 'b2,LAMP,5,'));
    await client.query(`UPDATE allocation.batch SET cancelled = true WHERE ref = 'b2'`);
    const path = write(
      'bad.csv',
      'ref,sku,qty,eta',
      'b1,SOFA,10,',
      'b2,LAMP,5,',
      '=1+1,LAMP,5,',
      'b4,LAMP,-1,',
      'b5,LAMP,5,2030-02-30',
      '"b6',
      'x",LAMP,5,',
      'b7,LAMP',
      'b8,LAMP,1,',
      'b8,LAMP,1,',
      'b8,LAMP,2,',
      Buffer.from([0x62, 0xff, 0x2c, 0x2c, 0x2c]),
      'b\0,LAMP,1,',
      `b9,LAMP,${'9'.repeat(400)},`,
      `b10,LAMP,${'9'.repeat(20_000)},`,
      '"b11,LAMP,1,',
      'b12,LAMP,1,',
    );
    const rejects = join(folder, 'rejects.csv');
    const { code, out, err } = await run('import', path, '--rejects', rejects);
    expect({ code, out }).toEqual({ code: 1, out: ['bad.csv: 2 created, 0 changed, 1 unchanged, 13 rejected.'] });
    expect(err).toEqual([
      'bad.csv line 2: b1 is a batch of LAMP',
      'bad.csv line 3: b2 was cancelled',
      expect.stringMatching(/^bad.csv line 4: ref: 1 to 64 letters/),
      'bad.csv line 5: qty: a whole number is allowed',
      expect.stringMatching(/^bad.csv line 6: eta: a date of the calendar/),
      expect.stringMatching(/^bad.csv line 7: ref: 1 to 64 letters/),
      'bad.csv line 9: it has 2 columns instead of 4',
      'bad.csv line 12: line 10 says something else of b8',
      'bad.csv line 13: it is not UTF-8',
      expect.stringMatching(/^bad.csv line 14: ref: 1 to 64 letters/),
      expect.stringMatching(/^bad.csv line 15: qty: /),
      'bad.csv line 16: it has more than 16384 bytes',
      expect.stringMatching(/^bad.csv line 17: Quote Not Closed/),
    ]);
    expect(await stock()).toEqual(['b1 LAMP 10', 'b12 LAMP 1', 'b2 LAMP 5 cancelled', 'b8 LAMP 1']);
    const report = readFileSync(rejects, 'utf8').split('\r\n');
    expect(report).toHaveLength(15);
    expect(report.slice(0, 3)).toEqual([
      'file,line,ref,reason',
      `${path},2,b1,b1 is a batch of LAMP`,
      `${path},3,b2,b2 was cancelled`,
    ]);
    for (const line of report) expect(line).not.toMatch(/(^|,)[=+@-]/);
  });

  it('finds out about references that come again far behind', async () => {
    const rows = Array.from({ length: 2_500 }, (_, place) => `b${place},SKU-${place % 70},1,`);
    const path = write('long.csv', 'ref,sku,qty,eta', ...rows, 'b1,SKU-1,1,', 'b2,SKU-2,9,', 'b3,AAA,1,');
    const { out, err } = await run('import', path);
    expect(out).toEqual(['long.csv: 2500 created, 0 changed, 1 unchanged, 2 rejected.']);
    expect(err).toEqual([
      'long.csv line 2503: line 4 says something else of b2',
      'long.csv line 2504: line 5 says something else of b3',
    ]);
    expect(await events()).toBe(2_500);
    expect((await run('verify')).code).toBe(0);
  });

  it.each<[string, (string | Buffer)[], RegExp]>([
    ['is empty', [], /it is empty\.$/],
    ['has no header', ['b1,LAMP,10,'], /the first line must name the columns ref,sku,qty,eta; it is "b1,LAMP,10,"\.$/],
    ['is in UTF-16', [Buffer.from('\uFEFFref,sku,qty,eta', 'utf16le')], /it is in UTF-16; save it as UTF-8\.$/],
  ])('refuses a file that %s', async (_, lines, message) => {
    const path = join(folder, 'wrong.csv');
    writeFileSync(path, Buffer.concat(lines.map((line) => Buffer.from(line))));
    for (const args of [[path], [path, '--dry-run']]) {
      const { code, out, err } = await run('import', ...args);
      expect({ code, out, err }).toEqual({ code: 1, out: [], err: [expect.stringMatching(message)] });
    }
    expect((await client.query('SELECT 1 FROM inventory.import')).rows).toEqual([]);
  });

  it('says what is not there, and goes on with the other files of a folder', async () => {
    const missing = await run('import', join(folder, 'missing.csv'));
    expect(missing).toMatchObject({
      code: 1,
      err: [expect.stringMatching(/^missing\.csv: it cannot be read: ENOENT/)],
    });
    const inside = mkdtempSync(join(folder, 'files-'));
    expect(await run('import', inside)).toMatchObject({ code: 1, err: [expect.stringMatching(/has no CSV files\.$/)] });
    writeFileSync(join(inside, 'a.csv'), 'ref,sku\n');
    writeFileSync(join(inside, 'b.CSV'), 'ref,sku,qty\nf1,LAMP,1\n');
    writeFileSync(join(inside, 'c.txt'), 'nothing');
    const { code, out, err } = await run('import', inside);
    expect(code).toBe(1);
    expect(err).toEqual([expect.stringMatching(/a\.csv: the first line must name/)]);
    expect(out).toEqual([expect.stringMatching(/b\.CSV: 1 created/)]);
  });

  it('tells with --dry-run what would happen, to stock and to orders, and does nothing', async () => {
    await run('import', write('before.csv', 'ref,sku,qty,eta', 'b1,LAMP,10,', 'b2,LAMP,10,2030-01-01', 'c1,SOFA,5,'));
    const service = folder; // Orders as the book's command brings them.
    writeFileSync(join(service, 'batches.csv'), 'ref,sku,qty,eta\n');
    writeFileSync(join(service, 'orders.csv'), 'orderid,sku,qty\no1,LAMP,8\no2,SOFA,5\n');
    await run('allocate-from-csv', service);
    const before = [await stock(), await events()];
    const path = write(
      'plan.csv',
      'ref,sku,qty,eta',
      'b1,LAMP,3,',
      'c1,SOFA,4,',
      'c2,SOFA,1,2030-05-05',
      'b2,LAMP,10,2030-01-01',
      'x',
    );
    const { code, out } = await run('import', path, '--dry-run');
    expect(code).toBe(1);
    expect(out).toEqual([
      'plan.csv: 1 to create, 2 to change, 1 unchanged, 1 rejected.',
      '  line 2: change b1: 3 units',
      '  line 3: change c1: 4 units',
      '  line 4: create c2, 1 of SOFA, 2030-05-05',
      '  reject line 6: it has 1 columns instead of 4',
      'Order lines: 0 would get a promise, 1 lose theirs, 1 move to another batch or date.',
      '  o1 line 1, LAMP: b1 (in the warehouse) -> b2 (2030-01-01)',
      '  o2 line 1, SOFA: c1 (in the warehouse) -> backordered',
    ]);
    expect([await stock(), await events()]).toEqual(before);
    expect((await client.query('SELECT 1 FROM inventory.import_row')).rows).toEqual([]);
    expect((await client.query(`SELECT 1 FROM inventory.import WHERE file LIKE '%plan.csv'`)).rows).toEqual([]);
  });

  it('goes on where a process that is gone has left it, and takes nobody’s place who is at it', async () => {
    const path = write('left.csv', 'ref,sku,qty,eta', 'l1,LAMP,1,', 'l2,LAMP,2,', 'l3,LAMP,3,');
    await run('import', path);
    await client.query(`
      TRUNCATE allocation.product, allocation.batch, allocation.batch_ref, platform.event;
      UPDATE inventory.import SET status = 'applying', finished_at = NULL, done_sku = 'LAMP', done_line = 2, created = 1,
        tidy = false,
        owner = gen_random_uuid(), lease_until = clock_timestamp() + interval '1 second';
      INSERT INTO inventory.import_row (import_id, line, ref, sku, qty)
        SELECT id, n + 1, 'l' || n, 'LAMP', n FROM inventory.import, generate_series(1, 3) AS n`);
    const { code, out, err } = await run('import', path);
    expect({ code, out, err }).toEqual({
      code: 0,
      out: ['left.csv: 3 created, 0 changed, 0 unchanged, 0 rejected.'],
      err: ['left.csv goes on where it was.'],
    });
    expect(await stock()).toEqual(['l2 LAMP 2', 'l3 LAMP 3']);
  });
});
