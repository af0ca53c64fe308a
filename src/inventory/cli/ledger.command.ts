import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { stringify } from 'csv-stringify/sync';
import { parsed, wholeNumber } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { neutralCell } from '../../platform/csv/neutral-cell';
import { Instant } from '../../platform/http/fields';
import { ExportLedger, GetLedger, type LedgerEntry, type LedgerPage, type StockNumbers } from '../contract/queries';

type Cells = readonly (string | number | null)[];

const numbers = ['onHand', 'inbound', 'promised', 'available', 'backordered'] as const;

/** The first characters of a line are as wide as these; the reason comes last and may be of any length. */
const tableHeader = ['version', 'when', 'by', ...numbers, 'what'];
const tableWidths = [8, 27, 12, ...numbers.map(() => 15), 0];

const csvHeader = [
  ...['version', 'occurredAt', 'actor', 'type', 'reason'],
  ...numbers.flatMap((name) => [`${name}Before`, `${name}After`]),
  ...['eventId', 'correlationId', 'causationId'],
];

@Injectable()
export class LedgerCommand extends CliCommand {
  readonly name = 'ledger';
  readonly usage = '<sku> [--as-of <instant>] [--limit <changes>] [--csv]';
  readonly summary = 'Prints everything that happened to a SKU, or the last so many changes, oldest first.';

  constructor(private readonly queries: QueryBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { 'as-of': { type: 'string' }, limit: { type: 'string' }, csv: { type: 'boolean' } } as const;
    const { values, positionals } = parsed(args, options, [1, 1]);
    const sku = positionals[0]!;
    const limit = wholeNumber('--limit', values.limit, 1, 10_000);
    const asOf = instant(values['as-of']);
    const line = values.csv ? csvLine : tableLine;
    let found = false;
    for await (const entries of await this.entries(sku, limit, asOf)) {
      if (!found) terminal.out(line(values.csv ? csvHeader : tableHeader));
      found = true;
      for (const entry of entries) terminal.out(line(values.csv ? csvCells(entry) : tableCells(entry)));
    }
    if (!found) terminal.note(`Nothing is known of ${sku}${asOf === undefined ? '' : ` as of ${asOf}`}.`);
    return found ? 0 : 1;
  }

  /** All of them, a chunk at a time; or the last ones in one. */
  private async entries(
    sku: string,
    limit: number | undefined,
    asOf: string | undefined,
  ): Promise<AsyncIterable<readonly LedgerEntry[]> | Iterable<readonly LedgerEntry[]>> {
    if (limit === undefined)
      return this.queries.execute<ExportLedger, AsyncIterable<readonly LedgerEntry[]>>(new ExportLedger(sku, asOf));
    const newestFirst = new GetLedger(sku, limit, 'desc', undefined, asOf);
    const page = await this.queries.execute<GetLedger, LedgerPage | null>(newestFirst);
    return page ? [page.entries.toReversed()] : [];
  }
}

/** @throws UsageError */
function instant(text: string | undefined): string | undefined {
  const { success, error } = Instant.optional().safeParse(text);
  if (success) return text;
  throw new UsageError(`--as-of is ${JSON.stringify(text)}; ${error.issues[0]!.message}.`);
}

const csvLine = (cells: Cells): string =>
  stringify([cells.map((cell) => (typeof cell === 'string' ? neutralCell(cell) : cell))], { eof: false });

const csvCells = ({ before, after, ...entry }: LedgerEntry): Cells => [
  ...[entry.version, entry.occurredAt, entry.actor, entry.type, entry.reason],
  ...numbers.flatMap((name) => [before[name], after[name]]),
  ...[entry.eventId, entry.correlationId, entry.causationId],
];

const tableLine = (cells: Cells): string =>
  cells
    .map((cell, column) => `${cell}`.padEnd(tableWidths[column]!))
    .join('  ')
    .trimEnd();

const tableCells = ({ version, occurredAt, actor, reason, before, after }: LedgerEntry): Cells => [
  ...[version, occurredAt, actor],
  ...numbers.map((name) => changed(before, after, name)),
  reason,
];

/** The number, and how it got there: `90 (-10)`. */
function changed(before: StockNumbers, after: StockNumbers, name: keyof StockNumbers): string {
  const difference = after[name] - before[name];
  return difference === 0 ? `${after[name]}` : `${after[name]} (${difference > 0 ? '+' : ''}${difference})`;
}
