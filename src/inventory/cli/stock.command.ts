import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { parsed, wholeNumber } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import {
  GetStock,
  ListStock,
  type Stock,
  type StockLevels,
  type StockOrder,
  type StockPage,
  type StockPlace,
  type StockStatus,
} from '../contract/queries';

const pageSize = 200;
const statuses: readonly StockStatus[] = ['low', 'out', 'late'];
const orders: readonly StockOrder[] = ['sku', 'available', '-available', 'nextArrival'];

@Injectable()
export class StockCommand extends CliCommand {
  readonly name = 'stock';
  readonly usage = `[<sku>] [--status ${statuses.join('|')}] [--sort ${orders.join('|')}] [--limit <number>]`;
  readonly summary = 'Shows how much there is of each SKU, or of one with its batches.';

  constructor(private readonly queries: QueryBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { status: { type: 'string' }, sort: { type: 'string' }, limit: { type: 'string' } } as const;
    const { values, positionals } = parsed(args, options, [0, 1]);
    const [sku] = positionals;
    if (sku === undefined) {
      const status = oneOf('--status', values.status, statuses);
      const order = oneOf('--sort', values.sort, orders) ?? 'sku';
      await this.list(order, status, wholeNumber('--limit', values.limit, 1, 1_000_000) ?? 50, terminal);
      return 0;
    }
    if (Object.keys(values).length > 0) throw new UsageError('Name a SKU, or say which ones are to be listed.');
    const stock = await this.queries.execute<GetStock, Stock | null>(new GetStock(sku));
    if (stock) show(stock, terminal);
    else terminal.note(`Nothing is known of ${sku}.`);
    return stock ? 0 : 1;
  }

  private async list(order: StockOrder, status: StockStatus | undefined, most: number, terminal: Terminal) {
    const stock: StockLevels[] = [];
    let next: StockPlace | null = null;
    do {
      const list = new ListStock(Math.min(most - stock.length, pageSize), order, status, next ?? undefined);
      const page: StockPage = await this.queries.execute<ListStock, StockPage>(list);
      stock.push(...page.stock);
      ({ next } = page);
    } while (next && stock.length < most);
    const lines = stock.map(({ sku, ...levels }) => [sku, ...figures(levels)]);
    for (const line of table([['sku', ...heads], ...lines])) terminal.out(line);
    if (next) terminal.note(`There are more; --limit says how many are shown.`);
  }
}

const heads = ['available', 'on hand', 'inbound', 'promised', 'backordered', 'next arrival', 'late', 'version'];

const figures = (levels: Omit<StockLevels, 'sku'>): (string | number)[] => {
  const { available, onHand, inbound, promised, backordered, nextArrival, lateUnits, version } = levels;
  return [available, onHand, inbound, promised, backordered, nextArrival ?? '-', lateUnits, version];
};

function show({ batches, ...levels }: Stock, terminal: Terminal): void {
  const values = figures(levels);
  for (const line of table(heads.map((head, place) => [head, values[place]!]))) terminal.out(line);
  const lines = batches.map(({ ref, available, purchased, promised, eta, cancelled, late }) => {
    const remark = cancelled ? 'cancelled' : late ? 'late' : '';
    return [ref, available, purchased, promised, eta ?? 'warehouse', remark];
  });
  terminal.out('');
  for (const line of table([['batch', 'available', 'purchased', 'promised', 'eta', ''], ...lines])) terminal.out(line);
}

/** @throws UsageError */
function oneOf<T extends string>(option: string, text: string | undefined, allowed: readonly T[]): T | undefined {
  const value = allowed.find((one) => one === text);
  if (text !== undefined && value === undefined)
    throw new UsageError(`${option} is ${JSON.stringify(text)}; ${allowed.join(', ')} are allowed.`);
  return value;
}
