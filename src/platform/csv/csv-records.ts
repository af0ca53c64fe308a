import { parse } from 'csv-parse/sync';
import { type Line, type LineFault, linesOf } from '../lines';

/** A record of a CSV file by the line that it begins in: its fields, or what is wrong with it. */
export type CsvRecord = { readonly line: number } & (
  { readonly fields: readonly string[] } | { readonly problem: string }
);

/** The file cannot be read as what it should be. */
export class UnreadableFile extends Error {}

/** No record that makes sense has more bytes. */
const longest = 16 * 1024;
const problems: Record<LineFault, string> = {
  'not UTF-8': 'it is not UTF-8',
  'too long': `it has more than ${longest} bytes`,
};

/**
 * The records of a CSV file (RFC 4180; UTF-8 with or without a byte order mark; either kind of line end), one at a time.
 * Memory stays flat, whatever comes. A quoted field may go on in the next lines; a quote that is never closed, or in the
 * wrong place, spoils its own line and no other.
 * @param bytes of the file, in pieces of any size
 * @throws UnreadableFile if it is in UTF-16
 */
export async function* csvRecords(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord> {
  const source = linesOf(withoutMark(bytes), longest);
  const lines = new Lines(source);
  try {
    for (;;) {
      const first = lines.ahead() ?? (await lines.read());
      if (!first) return;
      if (first.text === undefined) yield { line: first.line, problem: problems[first.fault] };
      else if (first.text.includes('"')) yield await quotedRecord(first, lines);
      else if (first.text !== '') yield { line: first.line, fields: first.text.split(',') };
    }
  } finally {
    await source.return();
  }
}

/** Lines, of which those that were read last can be put back. */
class Lines {
  private waiting: Line[] = [];
  private place = 0;

  constructor(private readonly source: AsyncGenerator<Line[], void>) {}

  /** The next line, if it was read before. */
  ahead(): Line | undefined {
    return this.waiting[this.place] && this.waiting[this.place++];
  }

  async read(): Promise<Line | undefined> {
    for (;;) {
      const { value, done } = await this.source.next();
      if (done) return undefined;
      [this.waiting, this.place] = [value, 0];
      if (value.length > 0) return this.ahead();
    }
  }

  putBack(lines: readonly Line[]): void {
    if (lines.length <= this.place) this.place -= lines.length;
    else [this.waiting, this.place] = [[...lines, ...this.waiting.slice(this.place)], 0];
  }
}

/** The record of a line together with those that its open quote makes part of it, if they make one. */
async function quotedRecord({ line, text }: { line: number; text: string }, lines: Lines): Promise<CsvRecord> {
  const others: Line[] = [];
  let whole = text;
  let open = leavesOpen(text);
  while (open) {
    const next = lines.ahead() ?? (await lines.read());
    if (!next) break;
    others.push(next);
    if (next.text === undefined || whole.length + next.text.length > longest) break;
    whole += `\n${next.text}`;
    open = leavesOpen(next.text) !== open;
  }
  const fields = fieldsOf(whole);
  if (typeof fields !== 'string') return { line, fields };
  lines.putBack(others);
  return { line, problem: fields };
}

const leavesOpen = (text: string): boolean => {
  let open = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) open = !open;
  return open;
};

/** The fields of a record, or why it has none. */
function fieldsOf(text: string): string[] | string {
  try {
    // What could end a record is not there, so there is one.
    const records: string[][] = parse(text, { record_delimiter: '\r\n', relax_column_count: true });
    return records[0] ?? [];
  } catch (error) {
    return (error as Error).message.replace(/ at line \d+/, '');
  }
}

/** @throws UnreadableFile if the mark is one of UTF-16 */
async function* withoutMark(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of bytes) {
    const view = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    if (!head) {
      yield view;
      continue;
    }
    head = Buffer.concat([head, view]);
    if (head.length < 3) continue;
    yield unmarked(head);
    head = undefined;
  }
  if (head) yield unmarked(head);
}

function unmarked(head: Buffer): Buffer {
  const mark = head.toString('latin1', 0, 3);
  if (mark.startsWith('\xff\xfe') || mark.startsWith('\xfe\xff'))
    throw new UnreadableFile('it is in UTF-16; save it as UTF-8');
  return mark === '\xef\xbb\xbf' ? head.subarray(3) : head;
}
