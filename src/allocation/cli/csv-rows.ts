import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse/sync';
import type { z } from 'zod';

/** A row of a file as it should be, or what is wrong with it. */
export type CsvRow<Row> = { readonly line: number } & ({ readonly row: Row } | { readonly problem: string });

/** The file cannot be read as what it should be. */
export class UnreadableFile extends Error {}

/** No line that makes sense has more characters. */
const longestLine = 16 * 1024;

/**
 * The rows of a CSV file (RFC 4180; UTF-8 with or without a byte order mark; either kind of line end), one at a time. The
 * first line names the columns, in any order. A row is a line: what is quoted does not go on in the next one, so that a
 * quote that is never closed spoils no other row.
 * @param schema of a row, all of whose columns must be there, and no others
 * @param onRead is told how many bytes were read so far
 * @throws UnreadableFile if the file or its header is not as it should be
 */
export async function* csvRows<Schema extends z.ZodObject>(
  file: string,
  schema: Schema,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<CsvRow<z.output<Schema>>> {
  const columns = Object.keys(schema.shape);
  const expected = `${file}: the first line must name the columns ${columns.join(',')}`;
  let header: string[] | undefined;
  for await (const { line, text } of linesOf(file, onRead)) {
    if (text === '') continue;
    const fields = text === undefined ? `it has more than ${longestLine} characters` : fieldsOf(text);
    if (!header) {
      header = typeof fields === 'string' ? [] : fields.map((name) => name.trim());
      if ([...header].sort().join() !== [...columns].sort().join())
        throw new UnreadableFile(`${expected}; it is ${JSON.stringify(text?.slice(0, 200))}.`);
    } else if (typeof fields === 'string') {
      yield { line, problem: fields };
    } else if (fields.length !== header.length) {
      yield { line, problem: `it has ${fields.length} columns instead of ${header.length}` };
    } else {
      const result = schema.safeParse(Object.fromEntries(header.map((name, place) => [name, fields[place]])));
      yield result.success ? { line, row: result.data } : { line, problem: sentenceOf(result.error) };
    }
  }
  if (!header) throw new UnreadableFile(`${expected}; it is empty.`);
}

/** The fields of a line, or why it has none. */
function fieldsOf(text: string): string[] | string {
  try {
    const records: string[][] = parse(text, { record_delimiter: '\n', relax_column_count: true });
    return records[0] ?? [];
  } catch (error) {
    return (error as Error).message.replace(/ at line \d+/, '');
  }
}

/** The lines of a file, without their ends; the text of one that is too long is left out. */
async function* linesOf(
  file: string,
  onRead: (bytes: number) => void,
): AsyncGenerator<{ line: number; text: string | undefined }> {
  const input = createReadStream(file);
  const decoder = new TextDecoder();
  let line = 1;
  let rest = '';
  let tooLong = false;
  const end = (text: string): { line: number; text: string | undefined } => {
    const whole = rest + text;
    const ended = { line, text: tooLong || whole.length > longestLine ? undefined : whole.replace(/\r$/, '') };
    line += 1;
    rest = '';
    tooLong = false;
    return ended;
  };
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const pieces = decoder.decode(chunk, { stream: true }).split('\n');
      for (const piece of pieces.slice(0, -1)) yield end(piece);
      rest = tooLong ? '' : rest + pieces.at(-1)!;
      tooLong ||= rest.length > longestLine;
      onRead(input.bytesRead);
    }
  } catch (error) {
    throw new UnreadableFile(`${file} cannot be read: ${(error as Error).message}`);
  }
  if (rest !== '' || tooLong) yield end('');
}

const sentenceOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
