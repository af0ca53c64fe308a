import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { GetQuote, type Quote } from '../../allocation/contract/queries';
import {
  type Availability,
  type EarliestLine,
  GetAvailability,
  GetStock,
  GetStockAsOf,
  type Stock,
} from '../contract/queries';
import { availability, countedFrom, dayAsOf, dayOf, earliestLine, rangeOf } from '../domain/availability';

@QueryHandler(GetAvailability)
export class GetAvailabilityHandler implements IQueryHandler<GetAvailability> {
  constructor(private readonly queries: QueryBus) {}

  async execute({ sku, range, qty, asOf }: GetAvailability): Promise<Availability | null> {
    const now = dayOf(new Date());
    const today = asOf === undefined ? now : dayAsOf(asOf, now);
    const days = rangeOf(range, today);
    const levels = asOf === undefined ? new GetStock(sku) : new GetStockAsOf(sku, asOf);
    const stock = await this.queries.execute<GetStock | GetStockAsOf, Stock | null>(levels);
    if (stock === null) return null;
    const earliest = asOf === undefined ? await this.quoted(sku, qty, today) : earliestLine(stock, qty, today);
    return availability(stock, days, today, earliest);
  }

  /** By the policy that allocates, and by what is true at this moment. */
  private async quoted(sku: string, qty: number, today: string): Promise<EarliestLine> {
    const { batchRef, eta } = await this.queries.execute<GetQuote, Quote>(new GetQuote(sku, qty));
    return { qty, batchRef, date: batchRef === null ? null : countedFrom(eta, today) };
  }
}
