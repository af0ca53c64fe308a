import { createReadStream } from 'node:fs';
import type { z } from 'zod';
import { UnreadableFile } from './csv-records';
import { type CsvRow, csvRows } from './csv-rows';

/**
 * The bytes of a file.
 * @param onRead is told how many bytes were read so far
 * @throws UnreadableFile
 */
export async function* bytesOf(
  file: string,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<Uint8Array> {
  const input = createReadStream(file);
  try {
    for await (const piece of input as AsyncIterable<Buffer>) {
      yield piece;
      onRead(input.bytesRead);
    }
  } catch (error) {
    throw new UnreadableFile(`it cannot be read: ${(error as Error).message}`);
  }
}

/**
 * The rows of a CSV file; see {@link csvRows}.
 * @throws UnreadableFile that names the file
 */
export async function* rowsOfFile<Schema extends z.ZodObject>(
  file: string,
  schema: Schema,
  onRead?: (bytes: number) => void,
): AsyncGenerator<CsvRow<z.output<Schema>>> {
  try {
    yield* csvRows(bytesOf(file, onRead), schema);
  } catch (error) {
    throw error instanceof UnreadableFile ? new UnreadableFile(`${file}: ${error.message}.`, { cause: error }) : error;
  }
}
