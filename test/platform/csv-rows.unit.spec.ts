import fc from 'fast-check';
import { stringify } from 'csv-stringify/sync';
import { z } from 'zod';
import { UnreadableFile } from '../../src/platform/csv/csv-records';
import { type CsvRow, csvRows } from '../../src/platform/csv/csv-rows';

const Row = z.object({ ref: z.string(), note: z.string(), eta: z.string().optional() });

/** The file in pieces of `size` bytes. */
async function* pieces(file: string | Buffer, size = 7): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(file);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: AsyncIterable<Uint8Array>): Promise<CsvRow<z.output<typeof Row>>[]> {
  const rows: CsvRow<z.output<typeof Row>>[] = [];
  for await (const row of csvRows(bytes, Row)) rows.push(row);
  return rows;
}

const row = (line: number, ref: string, note: string) => ({ line, row: { ref, note } });

describe('The rows of a CSV file', () => {
  it.each<[string, string | Buffer]>([
    ['with either kind of line end', 'ref,note\r\na,1\nb,2\r\n'],
    ['without a last line end', 'ref,note\na,1\nb,2'],
    ['with a byte order mark', '\uFEFFref,note\na,1\nb,2\n'],
    ['with empty lines', '\n\nref,note\na,1\r\n\r\n\nb,2\n'],
    ['with the columns in any order', 'note,ref\n1,a\n2,b'],
    ['with spaces around the names of columns', ' ref , note\na,1\nb,2'],
    ['with quotes where none are needed', '"ref",note\n"a",1\nb,"2"'],
  ])('are the same %s', async (_, file) => {
    const found = (await read(pieces(file))).map((one) => ('row' in one ? one.row : one));
    expect(found).toEqual([
      { ref: 'a', note: '1' },
      { ref: 'b', note: '2' },
    ]);
  });

  it('may have line ends, separators and quotes in quotes, and keep the numbers of the lines behind them', async () => {
    expect(await read(pieces('ref,note\na,"1\r\n2, ""3"""\n\nb,4'))).toEqual([
      row(2, 'a', '1\n2, "3"'),
      row(5, 'b', '4'),
    ]);
  });

  it('are what was written, in pieces of any size', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '€', ' ', '='), maxLength: 6 });
    const table = fc.array(fc.record({ ref: cell, note: cell }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(table, fc.integer({ min: 1, max: 40 }), fc.boolean(), async (rows, size, windows) => {
        const options = { header: true, columns: ['ref', 'note'], quoted: true };
        const file = stringify(rows, { ...options, record_delimiter: windows ? 'windows' : 'unix' });
        const found = await read(pieces(file, size));
        expect(found.map((one) => 'row' in one && one.row)).toEqual(rows);
        let line = 2;
        for (const [place, one] of found.entries()) {
          expect(one.line).toBe(line);
          line += 1 + `${rows[place]!.ref}${rows[place]!.note}`.split('\n').length - 1;
        }
      }),
    );
  });

  it('are read to the end, whatever bytes come', async () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 1, max: 40 }), async (noise, size) => {
        const found = await read(pieces(Buffer.concat([Buffer.from('ref,note\n'), noise, Buffer.from('\nz,9')]), size));
        const lines = found.map(({ line }) => line);
        expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
        expect(found.length).toBeGreaterThan(0);
      }),
    );
  });

  it.each<[string, string | Buffer, RegExp]>([
    ['has too few columns', 'a', /^it has 1 columns instead of 2$/],
    ['has too many columns', 'a,b,c', /^it has 3 columns instead of 2$/],
    ['has a quote that is never closed', '"a,1', /^Quote Not Closed/],
    ['has a quote in the wrong place', 'a"b,1', /^Invalid/],
    ['is not UTF-8', Buffer.from([0x61, 0xff, 0x2c, 0x31]), /^it is not UTF-8$/],
    ['is too long', `a,${'x'.repeat(20_000)}`, /^it has more than 16384 bytes$/],
  ])('are told by their line when one %s, which spoils no other', async (_, bad, problem) => {
    const file = Buffer.concat([Buffer.from('ref,note\na,1\n'), Buffer.from(bad), Buffer.from('\nb,2\nc,3\n')]);
    for (const size of [5, 1_000_000]) {
      expect(await read(pieces(file, size))).toEqual([
        row(2, 'a', '1'),
        { line: 3, problem: expect.stringMatching(problem) },
        row(4, 'b', '2'),
        row(5, 'c', '3'),
      ]);
    }
  });

  it('do not need memory for a line of a gigabyte', async () => {
    const piece = Buffer.alloc(1 << 20, 'x');
    async function* endless(): AsyncGenerator<Buffer> {
      yield Buffer.from('ref,note\n');
      for (let count = 0; count < 1024; count += 1) yield piece;
      yield Buffer.from('\nb,2');
    }
    const before = process.memoryUsage().rss;
    expect(await read(endless())).toEqual([{ line: 2, problem: 'it has more than 16384 bytes' }, row(3, 'b', '2')]);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  it.each<[string, string | Buffer, RegExp]>([
    ['is empty', '', /ref,note,eta; it is empty$/],
    ['is empty but for a mark', '\uFEFF', /it is empty$/],
    ['lacks a column', 'ref\na', /; it is "ref"$/],
    ['has a column that nobody knows', 'ref,note,colour\n', /; it is "ref,note,colour"$/],
    ['has a column twice', 'ref,note,ref\n', /; it is "ref,note,ref"$/],
    ['has a column of every object', 'ref,note,constructor\n', /; it is /],
    ['is in UTF-16', Buffer.from('\uFEFFref,note\n', 'utf16le'), /^it is in UTF-16; save it as UTF-8$/],
    ['is in UTF-16 without a mark', Buffer.from('ref,note\n', 'utf16le'), /\\u0000/],
    ['begins with something else than text', Buffer.from([0x50, 0x4b, 0x03, 0x04, 0xff]), /it is not UTF-8$/],
    ['begins with a line of a gigabyte', 'x'.repeat(100_000), /it has more than 16384 bytes$/],
  ])('are not there if the file %s', async (_, file, message) => {
    await expect(read(pieces(file))).rejects.toThrow(UnreadableFile);
    await expect(read(pieces(file))).rejects.toThrow(message);
  });
});
