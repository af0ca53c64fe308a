import type { z } from 'zod';
import { csvRecords, UnreadableFile } from './csv-records';

/** A row of a file as it should be, or what is wrong with it. */
export type CsvRow<Row> = { readonly line: number } & ({ readonly row: Row } | { readonly problem: string });

/**
 * The rows of a CSV file, one at a time. The first line names the columns, in any order.
 * @param bytes of the file, in pieces of any size
 * @param schema of a row, all of whose columns must be there but those that it lets be undefined, and no others
 * @throws UnreadableFile if the file or its header is not as it should be
 */
export async function* csvRows<Schema extends z.ZodObject>(
  bytes: AsyncIterable<Uint8Array>,
  schema: Schema,
): AsyncGenerator<CsvRow<z.output<Schema>>> {
  let header: readonly string[] | undefined;
  for await (const record of csvRecords(bytes)) {
    const { line } = record;
    if (!header) {
      if ('problem' in record) throw new UnreadableFile(`${expected(schema)}; ${record.problem}`);
      header = headerOf(record.fields, schema);
    } else if ('problem' in record) {
      yield record;
    } else if (record.fields.length !== header.length) {
      yield { line, problem: `it has ${record.fields.length} columns instead of ${header.length}` };
    } else {
      const cells: Record<string, string> = {};
      for (const [place, name] of header.entries()) cells[name] = record.fields[place]!;
      const result = schema.safeParse(cells);
      yield result.success ? { line, row: result.data } : { line, problem: sentenceOf(result.error) };
    }
  }
  if (!header) throw new UnreadableFile(`${expected(schema)}; it is empty`);
}

/** @throws UnreadableFile */
function headerOf(fields: readonly string[], schema: z.ZodObject): string[] {
  const names = fields.map((name) => name.trim());
  const columns = Object.entries(schema.shape) as [string, z.ZodType][];
  const missing = columns.some(([name, cell]) => !names.includes(name) && !cell.safeParse(undefined).success);
  const known = names.every((name) => Object.hasOwn(schema.shape, name)) && new Set(names).size === names.length;
  if (missing || !known)
    throw new UnreadableFile(`${expected(schema)}; it is ${JSON.stringify(fields.join(',').slice(0, 200))}`);
  return names;
}

const expected = ({ shape }: z.ZodObject): string =>
  `the first line must name the columns ${Object.keys(shape).join(',')}`;

const sentenceOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
