import { createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { stringify } from 'csv-stringify';
import { z } from 'zod';
import { DomainError } from '../../kernel/domain-error';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal } from '../../platform/cli/cli-command';
import { EtaCell, WholeNumberCell } from '../../platform/csv/cells';
import { rowsOfFile } from '../../platform/csv/csv-file';
import { UnreadableFile } from '../../platform/csv/csv-records';
import type { CsvRow } from '../../platform/csv/csv-rows';
import { Id, Quantity, StockQuantity } from '../../platform/http/fields';
import { inOrder } from '../../platform/in-order';
import { Allocate, type Allocation, type BatchCreation, CreateBatch } from '../contract/commands';
import type { LineState } from '../contract/order-lines';

const atOnce = 512;

const BatchRow = z.object({ ref: Id, sku: Id, qty: WholeNumberCell.pipe(StockQuantity), eta: EtaCell });
const OrderRow = z.object({ orderid: Id, sku: Id, qty: WholeNumberCell.pipe(Quantity) });

type BatchRow = z.output<typeof BatchRow>;
type OrderRow = z.output<typeof OrderRow>;

/**
 * The book's application of CSV files: `batches.csv` and `orders.csv` go in, `allocations.csv` comes out. As in the book,
 * rows that are the same in all columns are one line; rows of an order that name a SKU with different quantities are several,
 * numbered in the order of the file.
 */
@Injectable()
export class AllocateFromCsvCommand extends CliCommand {
  readonly name = 'allocate-from-csv';
  readonly usage = '<folder>';
  readonly summary = 'Takes in batches.csv and promises orders.csv of a folder; writes allocations.csv beside them.';

  constructor(private readonly commands: CommandBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const [folder] = parsed(args, {}, [1, 1]).positionals as [string];
    const report = new Report(terminal);
    try {
      // Nothing is taken in if one of the files cannot be read at all.
      await readHeader(rowsOfFile(join(folder, 'batches.csv'), BatchRow));
      await readHeader(rowsOfFile(join(folder, 'orders.csv'), OrderRow));
      await this.takeIn(join(folder, 'batches.csv'), report);
      await replace(join(folder, 'allocations.csv'), this.promise(join(folder, 'orders.csv'), report));
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      terminal.note(error.message);
      return 1;
    }
    return report.sumUp();
  }

  private async takeIn(file: string, report: Report): Promise<void> {
    const work = async (entry: CsvRow<BatchRow>): Promise<Outcome> => {
      if ('problem' in entry) return entry;
      const { ref, sku, qty, eta } = entry.row;
      return this.attempt(entry.line, new CreateBatch(ref, sku, qty, eta));
    };
    for await (const { line, problem } of report.follow(file, (onRead) =>
      inOrder(rowsOfFile(file, BatchRow, onRead), atOnce, work),
    )) {
      if (problem !== undefined) report.badRow(file, line, problem);
    }
  }

  /** The rows of `allocations.csv`, in the order of the orders. */
  private async *promise(file: string, report: Report): AsyncGenerator<[string, string, number, string]> {
    const quantities = new Map<string, number[]>();
    const work = async (entry: CsvRow<OrderRow>): Promise<Outcome> => {
      if ('problem' in entry) return entry;
      const { orderid: orderId, sku, qty } = entry.row;
      const known = quantities.get(`${orderId} ${sku}`) ?? [];
      if (known.includes(qty)) return { line: entry.line };
      quantities.set(`${orderId} ${sku}`, [...known, qty]);
      return this.attempt(entry.line, new Allocate({ orderId, lineId: String(known.length + 1), sku, qty }));
    };
    for await (const { line, problem, state } of report.follow(file, (onRead) =>
      inOrder(rowsOfFile(file, OrderRow, onRead), atOnce, work),
    )) {
      if (problem !== undefined) report.badRow(file, line, problem);
      else if (state && state.status !== 'promised') report.notPromised(file, line, state);
      if (state?.status !== 'promised') continue;
      report.promised += 1;
      yield [state.orderId, state.sku, state.qty, state.batchRef!];
    }
  }

  /** @throws what has nothing to do with the row */
  private async attempt(line: number, command: CreateBatch | Allocate): Promise<Outcome> {
    try {
      const answer = await this.commands.execute<CreateBatch | Allocate, BatchCreation | Allocation>(command);
      return 'status' in answer ? { line, state: answer } : { line };
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
      return { line, problem: error.message, state: error.details.line as LineState | undefined };
    }
  }
}

/** What became of a line of a file. */
interface Outcome {
  readonly line: number;
  /** What is wrong with it. */
  readonly problem?: string;
  /** How the order line stands that it is about. */
  readonly state?: LineState | undefined;
}

/** What the user is told. */
class Report {
  promised = 0;
  private notHad = 0;
  private bad = 0;

  constructor(private readonly terminal: Terminal) {}

  badRow(file: string, line: number, problem: string): void {
    this.bad += 1;
    this.terminal.note(`${file} line ${line}: ${problem}`);
  }

  notPromised(file: string, line: number, { sku, status }: LineState): void {
    this.notHad += 1;
    const outcome = status === 'refused' ? `out of stock for ${sku}` : `waits for ${sku}`;
    this.terminal.note(`${file} line ${line}: ${outcome}`);
  }

  /** Shows how much of a file was read, while its outcomes are awaited. @throws UnreadableFile */
  async *follow<T>(file: string, read: (onRead: (bytes: number) => void) => AsyncIterable<T>): AsyncGenerator<T> {
    const size = await stat(file).then(
      (found) => found.size,
      (error: Error) => Promise.reject(new UnreadableFile(`${file}: it cannot be read: ${error.message}.`)),
    );
    const progress = this.terminal.progress(file, size);
    try {
      yield* read((bytes) => progress.update(bytes));
    } finally {
      progress.end();
    }
  }

  /** @returns the exit status */
  sumUp(): number {
    this.terminal.out(`${this.promised} order lines are promised.`);
    if (this.notHad > 0) this.terminal.out(`${this.notHad} order lines are not: out of stock.`);
    if (this.bad > 0) this.terminal.note(`${this.bad} rows were bad.`);
    return this.bad > 0 ? 1 : 0;
  }
}

/** Whoever reads the file sees the old one or the new one, whole, also after a power cut. */
async function replace(file: string, rows: AsyncIterable<readonly unknown[]>): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  const columns = ['orderid', 'sku', 'qty', 'batchref'];
  try {
    const csv = stringify({ header: true, columns, record_delimiter: 'windows' });
    await pipeline(rows, csv, createWriteStream(partial, { flush: true }));
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
  const folder = await open(dirname(file), 'r');
  await folder.sync().catch(() => undefined); // Not every system can.
  await folder.close();
}

/** @throws UnreadableFile */
async function readHeader(rows: AsyncGenerator<unknown>): Promise<void> {
  await rows.next();
  await rows.return(undefined);
}
