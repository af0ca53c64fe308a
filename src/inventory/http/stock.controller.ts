import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { DomainError } from '../../kernel/domain-error';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import { Endpoint, invalidRequest, json, overloaded } from '../../platform/http/endpoint';
import {
  type Availability,
  GetAvailability,
  GetStock,
  GetStockAsOf,
  ListStock,
  type Stock,
  type StockPage as Page,
} from '../contract/queries';
import { invalidCursor } from './batches.schema';
import {
  AvailabilityOfSku,
  AvailabilityQuery,
  invalidRange,
  mostBatches,
  stockExample,
  StockListQuery,
  StockOfSku,
  StockPage,
  StockPlace,
  StockQuery,
  StockSku,
  unknownSku,
} from './stock.schema';

/** No event of the SKU was taken into account yet, or none had happened at the instant that was asked about. */
export class UnknownSku extends DomainError {
  constructor(sku: string) {
    super('unknown-sku', 'not-found', `Nothing is known of ${sku}.`, { sku });
  }
}

@ApiTags('Stock')
@Controller('v1/stock')
export class StockController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @Endpoint('listStock', {
    summary: 'List SKUs and how much there is of them',
    scope: 'stock:read',
    description:
      'Follows the changes within moments; each SKU names the version that it shows. Pages are cut where the one before ended: ' +
      'a SKU whose stock changes meanwhile may be on two of them, or on none, unless the list is sorted by SKU.',
    answers: { 200: json('A page of SKUs.', StockPage, stockExample.page) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async list(@Query({ schema: StockListQuery }) { status, sort, limit, cursor }: StockListQuery): Promise<StockPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, StockPlace);
    const list = new ListStock(limit, sort, status, after);
    const { stock, next } = await this.queries.execute<ListStock, Page>(list);
    return { stock: [...stock], next: next && encodeCursor(next) };
  }

  @Get(':sku')
  @Endpoint('getStock', {
    summary: 'Read how much there is of a SKU',
    scope: 'stock:read',
    description:
      `With its batches, ${mostBatches} at most: \`GET /v1/batches?sku=\` has all, page by page. Follows the changes within ` +
      'moments and names the version that it shows. With `asOf` it is worked out from the history of the SKU, and batches are ' +
      'late by the day of that instant (UTC).',
    answers: { 200: json('The stock.', StockOfSku, stockExample.stock) },
    problems: [invalidRequest, unknownSku, overloaded],
  })
  async get(
    @Param('sku', { schema: StockSku }) sku: string,
    @Query({ schema: StockQuery }) { asOf }: StockQuery,
  ): Promise<StockOfSku> {
    const query = asOf === undefined ? new GetStock(sku, mostBatches) : new GetStockAsOf(sku, asOf, mostBatches);
    const stock = await this.queries.execute<GetStock | GetStockAsOf, Stock | null>(query);
    if (stock === null) throw new UnknownSku(sku);
    return stock as StockOfSku;
  }

  @Get(':sku/availability')
  @Endpoint('getAvailability', {
    summary: 'Read what will be free of a SKU, day by day',
    scope: 'stock:read',
    description:
      'Available to promise. Units of the warehouse count from today (UTC), inbound ones from their ETA. A batch that is late ' +
      'can arrive today at the earliest and counts from today. Nothing is free on days that have passed. `earliest` says when a ' +
      'line of `qty` could be had, by the same policy that allocates: none if no single batch has its units, or if lines that ' +
      'wait already come first. With `asOf` that policy cannot be asked: there it is the first batch - the warehouse, then by ' +
      'ETA - that alone had the units.',
    answers: { 200: json('The days.', AvailabilityOfSku, stockExample.availability) },
    problems: [invalidRequest, invalidRange, unknownSku, overloaded],
  })
  async availability(
    @Param('sku', { schema: StockSku }) sku: string,
    @Query({ schema: AvailabilityQuery }) { from, to, qty, asOf }: AvailabilityQuery,
  ): Promise<AvailabilityOfSku> {
    const query = new GetAvailability(sku, { from, to }, qty, asOf);
    const availability = await this.queries.execute<GetAvailability, Availability | null>(query);
    if (availability === null) throw new UnknownSku(sku);
    return availability as AvailabilityOfSku;
  }
}
