import { isUtf8 } from 'node:buffer';

/** A line of a text without its end, by its number from 1 on; or why it cannot be read. */
export type Line = { readonly line: number } & (
  { readonly text: string; readonly fault?: never } | { readonly text?: never; readonly fault: LineFault }
);

export type LineFault = 'not UTF-8' | 'too long';

const newLine = 0x0a;

/**
 * The lines of a text in UTF-8, those of a piece of it at a time; either kind of line end. Memory stays flat, whatever comes: of a
 * line that is too long nothing is kept.
 * @param bytes of the text, in pieces of any size; what they throw is passed on, without the line that they broke off in
 * @param longest bytes of a line
 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>, longest: number): AsyncGenerator<Line[], void> {
  let line = 1;
  let rest: Buffer = Buffer.alloc(0);
  let tooLong = false;
  const asLine = (text: string | null | undefined): Line => lineAs(line++, text, longest);
  for await (const view of bytes) {
    const piece = Buffer.from(view.buffer, view.byteOffset, view.length);
    const end = piece.lastIndexOf(newLine);
    if (end < 0) {
      rest = tooLong ? rest : Buffer.concat([rest, piece]);
    } else {
      const texts = textsOf(tooLong ? piece.subarray(0, end) : Buffer.concat([rest, piece.subarray(0, end)]));
      // What is left of a line that is too long goes with it.
      if (tooLong) texts[0] = undefined;
      yield texts.map(asLine);
      rest = Buffer.from(piece.subarray(end + 1));
      tooLong = false;
    }
    tooLong ||= rest.length > longest;
    if (tooLong) rest = Buffer.alloc(0);
  }
  if (tooLong) yield [asLine(undefined)];
  else if (rest.length > 0) yield textsOf(rest).map(asLine);
}

/** @param text undefined: too long; null: not UTF-8 */
function lineAs(line: number, text: string | null | undefined, longest: number): Line {
  if (text === null) return { line, fault: 'not UTF-8' };
  if (text === undefined || isLonger(text, longest)) return { line, fault: 'too long' };
  return { line, text: text.endsWith('\r') ? text.slice(0, -1) : text };
}

/** A character has three bytes at most for each of its units. */
const isLonger = (text: string, bytes: number): boolean => 3 * text.length > bytes && Buffer.byteLength(text) > bytes;

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
