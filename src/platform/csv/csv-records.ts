import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';

/** A record of a CSV file by the line that it begins in: its fields, or what is wrong with it. */
export type CsvRecord = { readonly line: number } & (
  { readonly fields: readonly string[] } | { readonly problem: string }
);

/** The file cannot be read as what it should be. */
export class UnreadableFile extends Error {}

/** No record that makes sense has more bytes. */
const longest = 16 * 1024;
const newLine = 0x0a;

/**
 * The records of a CSV file (RFC 4180; UTF-8 with or without a byte order mark; either kind of line end), one at a time.
 * Memory stays flat, whatever comes. A quoted field may go on in the next lines; a quote that is never closed, or in the
 * wrong place, spoils its own line and no other.
 * @param bytes of the file, in pieces of any size
 * @throws UnreadableFile if it is in UTF-16
 */
export async function* csvRecords(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord> {
  const source = linesOf(bytes);
  const lines = new Lines(source);
  try {
    for (;;) {
      const first = lines.ahead() ?? (await lines.read());
      if (!first) return;
      if (first.text === undefined) yield first;
      else if (first.text.includes('"')) yield await quotedRecord(first, lines);
      else if (first.text !== '') yield { line: first.line, fields: first.text.split(',') };
    }
  } finally {
    await source.return();
  }
}

/** A line of a text without its end, or what is wrong with it. */
type Line = { readonly line: number } & (
  { readonly text: string; readonly problem?: never } | { readonly text?: never; readonly problem: string }
);

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

/** The lines of a text, those of a piece of it at a time. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Line[], void> {
  let line = 1;
  let rest: Buffer = Buffer.alloc(0);
  let tooLong = false;
  for await (const piece of withoutMark(bytes)) {
    const end = piece.lastIndexOf(newLine);
    if (end < 0) {
      rest = tooLong ? rest : Buffer.concat([rest, piece]);
    } else {
      const texts = textsOf(tooLong ? piece.subarray(0, end) : Buffer.concat([rest, piece.subarray(0, end)]));
      // What is left of a line that is too long goes with it.
      if (tooLong) texts[0] = undefined;
      yield texts.map((text) => lineAs(line++, text));
      rest = Buffer.from(piece.subarray(end + 1));
      tooLong = false;
    }
    tooLong ||= rest.length > longest;
    if (tooLong) rest = Buffer.alloc(0);
  }
  if (tooLong) yield [lineAs(line, undefined)];
  else if (rest.length > 0) yield textsOf(rest).map((text) => lineAs(line++, text));
}

/** @param text undefined: too long; null: not UTF-8 */
function lineAs(line: number, text: string | null | undefined): Line {
  if (text === null) return { line, problem: 'it is not UTF-8' };
  if (text === undefined || text.length > longest) return { line, problem: `it has more than ${longest} bytes` };
  return { line, text: text.endsWith('\r') ? text.slice(0, -1) : text };
}

/** All at once where that is possible: it is many times as fast. */
function textsOf(bytes: Buffer): (string | null | undefined)[] {
  if (isUtf8(bytes)) return bytes.toString().split('\n');
  const texts: (string | null)[] = [];
  for (let start = 0; start <= bytes.length;) {
    const found = bytes.indexOf(newLine, start);
    const end = found < 0 ? bytes.length : found;
    const text = bytes.subarray(start, end);
    texts.push(isUtf8(text) ? text.toString() : null);
    start = end + 1;
  }
  return texts;
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
