import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { EtaCell, WholeNumberCell } from '../../platform/csv/cells';
import { type CsvRow, csvRows } from '../../platform/csv/csv-rows';
import { Id, StockQuantity } from '../../platform/http/fields';
import type { SupplierRow } from '../contract/imports';
import { ContentDigest } from './content-digest';
import { Imports } from './imports';

/** Rows that are stored at once. */
const pageSize = 2_000;

const FileRow = z.object({
  ref: Id,
  sku: Id,
  qty: WholeNumberCell.pipe(StockQuantity),
  eta: EtaCell.default(null),
});

type FileRow = z.output<typeof FileRow>;

/** A file whose rows are all kept. */
export interface ReceivedFile {
  /** Of its import. */
  readonly id: string;
  /** Of its content, in hex: see {@link ContentDigest}. */
  readonly digest: string;
}

/** Takes in supplier files: batches as CSV, row by row into the database, so that memory stays flat. */
@Injectable()
export class SupplierFiles {
  constructor(private readonly imports: Imports) {}

  /**
   * Keeps the rows of a file until they are worked off. Nothing is kept of a file that breaks off.
   * @param name what people call it
   * @throws UnreadableFile if it is none, and whatever `bytes` throws
   */
  async receive(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { readonly dryRun: boolean },
  ): Promise<ReceivedFile> {
    const digest = new ContentDigest();
    const rows = csvRows(digest.through(bytes), FileRow);
    let page = await nextOf(rows);
    const id = await this.imports.open(name, options);
    try {
      while (page.length > 0) {
        const staged = this.imports.stage(id, page);
        [page] = await Promise.all([nextOf(rows), staged]);
      }
    } catch (error) {
      // Where that is not possible either, it is found out later that nothing comes any more.
      await this.imports.abort(id, `it broke off: ${(error as Error).message}`).catch(() => undefined);
      throw error;
    } finally {
      await rows.return(undefined);
    }
    return { id, digest: digest.end() };
  }
}

/** The next page of rows; an empty one: that was all. */
async function nextOf(rows: AsyncGenerator<CsvRow<FileRow>>): Promise<SupplierRow[]> {
  const page: SupplierRow[] = [];
  while (page.length < pageSize) {
    const next = await rows.next();
    if (next.done) break;
    const { value } = next;
    page.push('row' in value ? { line: value.line, ...value.row } : value);
  }
  return page;
}
