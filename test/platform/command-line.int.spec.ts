import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { AppModule, modules } from '../../src/app.module';
import { BatchCreated } from '../../src/allocation/contract/events';
import type { Queryable } from '../../src/platform/database/database';
import type { StoredEvent } from '../../src/platform/event-log/stored-event';
import { Projection } from '../../src/platform/event-log/subscriber';
import { UsageError } from '../../src/platform/cli/cli-command';
import { runCommandLine } from '../../src/platform/cli/command-line';
import { RebuildCommand } from '../../src/platform/cli/rebuild.command';
import { Commands } from '../support/commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { deliverable } from '../support/relay-world';

const commandLine = { version: '1.2.3', modules, application: AppModule.forRoot.bind(AppModule), outside: [] };

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `batchwise …` in this process as `cli.ts` does, and keeps what it says. */
async function runCli(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Said> {
  let out = '';
  let err = '';
  const code = await runCommandLine(commandLine, args, env, {
    out: (line) => void (out += `${line}\n`),
    note: (line) => void (err += `${line}\n`),
    progress: () => ({ update: () => undefined, end: () => undefined }),
  });
  return { code, out, err };
}

describe('The command line', () => {
  let db: TestDatabase;
  let client: Client;
  let env: NodeJS.ProcessEnv;
  let commands: Commands;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true', LOG_LEVEL: 'error' };
    commands = await Commands.on(db.url);
  });
  afterAll(async () => {
    await commands.close();
    await db.drop();
  });

  /** Runs a command inside an application that is up: what it does is the same, and it starts at once. */
  async function run(name: string, ...args: string[]): Promise<Said> {
    const { code, out, err } = await commands.run(name, ...args);
    const text = (lines: string[]): string => lines.map((line) => `${line}\n`).join('');
    return { code, out: text(out), err: text(err) };
  }

  it('explains each command, without a database', async () => {
    for (const command of [
      'rebuild',
      'subscribers',
      'dead-letters',
      'events',
      'keys',
      'verify',
      'allocate-from-csv',
      'import',
      'explain',
      'plan',
      'demo',
      'stock',
      'availability',
    ]) {
      const { code, out, err } = await runCli({}, command, '--help');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(new RegExp(`^Usage: batchwise ${command}.*\\n[A-Z].*\\.\\n$`));
    }
  });

  it('says what is wrong with its configuration', async () => {
    const wrong = await runCli({ DATABASE_URL: 'mysql://nowhere' }, 'verify');
    expect(wrong).toMatchObject({ code: 1, out: '', err: expect.stringContaining('DATABASE_URL') });
  });

  it('refuses wrong arguments of a command with 2, and says how they are meant', async () => {
    const { code, out, err } = await runCli(env, 'dead-letters', 'replay');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^batchwise dead-letters: .+\nUsage: batchwise dead-letters /);
    for (const [name, ...args] of [
      ['verify', '--everything'],
      ['demo', '--orders', 'many'],
      ['demo', '--prefix', 'a b'],
      ['allocate-from-csv'],
      ['rebuild'],
      ['dead-letters', 'show', 'x'],
      ['dead-letters', 'replay', '1', '--subscriber', 'webhooks'],
    ] as const)
      await expect(run(name, ...args)).rejects.toThrow(UsageError);
  });

  it('plays a day of a shop, several at once, and leaves everything in order', async () => {
    const size = ['--orders', '60', '--skus', '30'];
    const [first, second] = await Promise.all([
      runCli(env, 'demo', ...size, '--seed', '7', '--prefix', 'a'),
      runCli(env, 'demo', ...size, '--seed', '7', '--prefix', 'b'),
    ]);
    for (const { code, out } of [first, second]) {
      expect(code).toBe(0);
      expect(out).toMatch(/^orders +60$/m);
      for (const figure of ['lines', 'promised', 'backordered', 'refused', 'events'])
        expect(Number(new RegExp(`^ *${figure} +(\\d+)`, 'm').exec(out)?.[1])).toBeGreaterThan(0);
    }
    const { rows } = await client.query<{ n: number }>(
      `SELECT count(DISTINCT order_id)::int AS n FROM allocation.order_line WHERE order_id LIKE 'a-%'`,
    );
    expect(rows[0]!.n).toBeGreaterThan(40);
    const verified = await run('verify');
    expect(verified.out).toMatch(/^(ok {6}.+\n)+$/);
    expect(verified.code).toBe(0);
  });

  it('finds what is broken, says where, and goes on only if it is asked to', async () => {
    await client.query(`
      INSERT INTO allocation.batch_ref VALUES ('lost-1', 'SOFA');
      UPDATE allocation.product SET version = version + 1 WHERE sku = 'a-sku1'`);
    const [first, all] = await Promise.all([run('verify'), run('verify', '--all')]);
    expect(first.code).toBe(1);
    expect(first.out).toMatch(
      /^(ok {6}.+\n)+BROKEN {2}every reference leads to its batch.*: 1\n +reference lost-1, SOFA: no batch\n$/,
    );
    expect(all.code).toBe(1);
    expect(all.out.match(/^BROKEN/gm)).toHaveLength(2);
    expect(all.out).toMatch(/ok {6}.+\n$/);
    await client.query(`
      DELETE FROM allocation.batch_ref WHERE ref = 'lost-1';
      UPDATE allocation.product SET version = version - 1 WHERE sku = 'a-sku1'`);
  });

  it('shows subscribers, and lets an operator deal with dead letters', async () => {
    await client.query(`
      INSERT INTO platform.subscriber (name) VALUES ('gone-publisher');
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts, dead_at, error)
        SELECT 'gone-publisher', 'product:a-sku1', version, 12, now(), 'too heavy' FROM generate_series(1, 2) AS version`);
    const [shown, listed] = await Promise.all([run('subscribers'), run('dead-letters', 'list')]);
    expect(shown.out).toMatch(/^subscriber +kind +position +behind +seconds +parked +dead +worked by$/m);
    expect(shown.out).toMatch(/^email-buyers-when-out-of-stock +reaction +0 +\d+ +[\d.]+ +0 +0 +nobody$/m);
    expect(shown.out).toMatch(/^gone-publisher +unknown +0 +\d+ +[\d.]+ +0 +2 +nobody$/m);
    const [one, two] = [...listed.out.matchAll(/^(\d+) +gone-publisher +product:a-sku1 .* too heavy$/gm)].map(
      ([, id]) => id!,
    );
    const ofOne = (name: string) => run('dead-letters', 'list', '--subscriber', name);
    expect((await ofOne('gone-publisher')).out).toBe(listed.out);
    expect((await ofOne('webhooks')).out).toBe('There are no dead letters.\n');
    const letter = await run('dead-letters', 'show', one!);
    expect(letter.out).toMatch(
      /^type +allocation\.batch-created\.v1\ndata +\{.*"sku":"a-sku1".*\}\nerror +too heavy$/m,
    );
    const [replayed, discarded] = await Promise.all([
      run('dead-letters', 'replay', two!, '99999'),
      run('dead-letters', 'discard', one!),
    ]);
    expect(replayed).toMatchObject({
      code: 1,
      out: `${two} will be tried again.\n`,
      err: 'There is no dead letter 99999.\n',
    });
    expect(discarded).toMatchObject({ code: 0, out: `${one} is given up.\n` });
    expect((await run('dead-letters', 'list')).out).toBe('There are no dead letters.\n');
  });

  describe('allocates from CSV files', () => {
    let folder: string;
    const write = (name: string, ...lines: string[]): void => writeFileSync(join(folder, name), lines.join('\n'));
    const allocations = (): string => readFileSync(join(folder, 'allocations.csv'), 'utf8');
    beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'batchwise-csv-'))));
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('as the book does, and once, however often it is asked', async () => {
      write(
        'batches.csv',
        'ref,sku,qty,eta',
        'csv-1,CSV-LAMP,100,',
        'csv-2,CSV-LAMP,100,2030-01-01',
        'csv-3,CSV-SOFA,20,',
      );
      write(
        'orders.csv',
        'orderid,sku,qty',
        'csv-o1,CSV-LAMP,90',
        'csv-o2,CSV-LAMP,11',
        'csv-o1,CSV-SOFA,12',
        'csv-o1,CSV-LAMP,90',
        '',
      );
      const expected =
        'orderid,sku,qty,batchref\r\ncsv-o1,CSV-LAMP,90,csv-1\r\ncsv-o2,CSV-LAMP,11,csv-2\r\ncsv-o1,CSV-SOFA,12,csv-3\r\n';
      for (let time = 1; time <= 2; time += 1) {
        const { code, out, err } = await run('allocate-from-csv', folder);
        expect({ code, out, err }).toEqual({ code: 0, out: '3 order lines are promised.\n', err: '' });
        expect(allocations()).toBe(expected);
      }
      const { rows } = await client.query(`SELECT 1 FROM platform.event WHERE data ->> 'sku' LIKE 'CSV-%'`);
      expect(rows).toHaveLength(6);
      expect(readdirSync(folder).sort()).toEqual(['allocations.csv', 'batches.csv', 'orders.csv']);
    });

    it('and tells bad rows with their lines, while the others go on', async () => {
      const bom = '\uFEFF';
      write(
        'batches.csv',
        `${bom}sku,eta,"qty",ref\r`,
        'BAD-LAMP,,10,"bad-1"\r',
        'BAD-LAMP,,ten,bad-2\r',
        '\r',
        'BAD-LAMP,2030-02-30,1,bad-3\r',
        '=1+1,,1,bad-4\r',
      );
      write(
        'orders.csv',
        'orderid,sku,qty',
        'bad-o1,BAD-LAMP',
        '"bad-o2,BAD-LAMP,1',
        'bad-o3,NO-SUCH,1',
        'bad-o4,BAD-LAMP,11',
        `bad-o5,BAD-LAMP,${'9'.repeat(20_000)}`,
        'bad-o6,BAD-LAMP,10',
      );
      const { code, out, err } = await run('allocate-from-csv', folder);
      expect(code).toBe(1);
      expect(out).toBe('1 order lines are promised.\n1 order lines are not: out of stock.\n');
      expect(err.replaceAll(`${folder}/`, '').split('\n').slice(0, -1)).toEqual([
        'batches.csv line 3: qty: a whole number is allowed',
        expect.stringMatching(/^batches.csv line 5: eta: a date of the calendar is allowed/),
        expect.stringMatching(/^batches.csv line 6: sku: 1 to 64 letters/),
        'orders.csv line 2: it has 2 columns instead of 3',
        expect.stringMatching(/^orders.csv line 3: Quote Not Closed/),
        'orders.csv line 4: Invalid sku NO-SUCH',
        'orders.csv line 5: out of stock for BAD-LAMP',
        'orders.csv line 6: it has more than 16384 bytes',
        '7 rows were bad.',
      ]);
      expect(allocations()).toBe('orderid,sku,qty,batchref\r\nbad-o6,BAD-LAMP,10,bad-1\r\n');
    });

    it('and leaves everything alone where a file is not what it should be', async () => {
      write('allocations.csv', 'as it was');
      const missing = await run('allocate-from-csv', folder);
      expect(missing).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^.*batches\.csv: it cannot be read: ENOENT.*\n$/),
      });
      write('batches.csv', 'ref,sku,qty,eta', 'untaken,LAMP,5,');
      write('orders.csv', 'orderid,sku', 'o1,LAMP');
      const wrong = await run('allocate-from-csv', folder);
      expect(wrong).toMatchObject({
        code: 1,
        err: expect.stringMatching(
          /orders\.csv: the first line must name the columns orderid,sku,qty; it is "orderid,sku"\.\n$/,
        ),
      });
      expect(allocations()).toBe('as it was');
      expect(readdirSync(folder)).toHaveLength(3);
      expect((await client.query(`SELECT 1 FROM allocation.batch_ref WHERE ref = 'untaken'`)).rows).toEqual([]);
    });
  });

  describe('rebuilds projections', () => {
    class Amounts extends Projection {
      readonly name = 'the-amounts';
      readonly schema = 'shown';
      readonly tables = ['amount'];
      readonly events = [BatchCreated];
      refuses = false;

      async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
        if (this.refuses) throw new Error('too heavy');
        const refs = events.map(({ data }) => data.ref);
        await transaction.query({ text: 'INSERT INTO amount SELECT unnest($1::text[])' }, [refs]);
      }
    }

    let projection: Amounts;
    let command: RebuildCommand;
    const terminal = { out: jest.fn(), note: jest.fn(), progress: () => ({ update: jest.fn(), end: jest.fn() }) };

    beforeAll(async () => {
      await client.query('CREATE SCHEMA shown; CREATE TABLE shown.amount (ref text PRIMARY KEY)');
      projection = new Amounts();
      const discovery = { getProviders: () => [{ instance: projection }, { instance: undefined }] };
      const database = await db.connect();
      command = new RebuildCommand(discovery as never, database);
      await deliverable(database);
    });
    beforeEach(() => jest.clearAllMocks());

    it('by name, or all of them', async () => {
      for (const argument of ['the-amounts', '--all']) {
        await client.query('TRUNCATE shown.amount');
        expect(await command.run([argument], terminal)).toBe(0);
        const { rows } = await client.query(`
          SELECT ref FROM allocation.batch_ref EXCEPT SELECT ref FROM shown.amount`);
        expect(rows).toEqual([]);
      }
      expect(terminal.out).toHaveBeenCalledWith(expect.stringMatching(/^the-amounts: rebuilt from \d+ events\.$/));
    });

    it('and says what it cannot rebuild', async () => {
      expect(await command.run(['the-names'], terminal)).toBe(1);
      expect(terminal.note).toHaveBeenLastCalledWith('There is no projection the-names; there are the-amounts.');
      projection.refuses = true;
      expect(await command.run(['--all'], terminal)).toBe(1);
      expect(terminal.note).toHaveBeenLastCalledWith(expect.stringMatching(/^the-amounts cannot project .*too heavy$/));
    });
  });
});
