import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { GetStockAsOf, ListPromises, type PromisePage, type Stock } from '../contract/queries';
import { dayAsOf, dayOf } from '../domain/availability';
import { PromisedLines } from '../domain/promised-lines';
import { StockHistory } from '../domain/stock-history';
import { stockOf } from '../domain/stock-levels';
import { replay } from './replay';

/** Replays the SKU's events: its cost grows with their number, its memory with that of the batches and waiting lines. */
@QueryHandler(GetStockAsOf)
export class GetStockAsOfHandler implements IQueryHandler<GetStockAsOf> {
  constructor(private readonly database: Database) {}

  async execute({ sku, instant, most }: GetStockAsOf): Promise<Stock | null> {
    const history = new StockHistory(sku);
    for await (const changes of replay(this.database, sku, instant))
      for (const { event, change } of changes) history.apply(event.version, change);
    if (history.version === 0) return null;
    return stockOf(history.known, dayAsOf(instant, dayOf(new Date())), most);
  }
}

/** Costs what {@link GetStockAsOfHandler} costs, and some lines more than are asked for. */
@QueryHandler(ListPromises)
export class ListPromisesHandler implements IQueryHandler<ListPromises> {
  constructor(private readonly database: Database) {}

  async execute({ sku, limit, from, asOf }: ListPromises): Promise<PromisePage | null> {
    const [history, promised] = [new StockHistory(sku), new PromisedLines(from)];
    for await (const changes of replay(this.database, sku, asOf)) {
      for (const { event, change } of changes) {
        history.apply(event.version, change);
        promised.apply(change);
      }
    }
    if (history.version === 0) return null;
    const { lines, next } = promised.page(limit);
    const withEta = lines.map((line) => ({ ...line, eta: history.batch(line.batchRef).eta }));
    return { sku, version: history.version, lines: withEta, next };
  }
}
