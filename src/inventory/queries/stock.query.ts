import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
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
import { dayOf } from '../domain/availability';
import { type RecordedStock, stockOf } from '../domain/stock-levels';

const stockOfSku = {
  name: 'stock-of-sku',
  text: `
    SELECT sku, version::float8 AS version, backordered::float8 AS backordered, coalesce((
      SELECT json_agg(json_build_object('ref', ref, 'sku', b.sku, 'purchased', purchased, 'promised', b.promised,
                                        'eta', eta, 'cancelled', cancelled) ORDER BY ref)
      FROM inventory.stock_batch AS b WHERE b.sku = s.sku
    ), '[]') AS batches
    FROM inventory.stock AS s WHERE sku = $1`,
};

/** How a list is ordered, and what lies behind a place: both by an index. */
const orders: Record<StockOrder, { by: string; behind: string; key: (place: StockPlace) => unknown[] }> = {
  sku: { by: 's.sku', behind: 'sku > $3', key: ({ sku }) => [sku] },
  available: {
    by: 's.available, s.sku',
    behind: '(available, sku) > ($3::bigint, $4)',
    key: ({ available, sku }) => [available, sku],
  },
  '-available': {
    by: 's.available DESC, s.sku DESC',
    behind: '(available, sku) < ($3::bigint, $4)',
    key: ({ available, sku }) => [available, sku],
  },
  nextArrival: {
    by: 's.next_arrival, s.sku',
    behind: '(next_arrival, sku) > ($3::date, $4)',
    key: ({ nextArrival, sku }) => [nextArrival ?? 'infinity', sku],
  },
};

/** Each by an index in any of the orders. */
const conditions: Record<StockStatus, string> = {
  low: 'low',
  out: 'available <= 0',
  late: `next_arrival < 'infinity' AND next_arrival < $1::date`,
};

/** Not prepared: which index is best depends on how many SKUs are late. */
const page = (order: StockOrder, status?: StockStatus, after?: StockPlace) => {
  const where = [...(status ? [conditions[status]] : []), ...(after ? [orders[order].behind] : [])];
  return {
    text: `
      SELECT sku, version::float8 AS version, on_hand::float8 AS "onHand", inbound::float8 AS inbound,
             promised::float8 AS promised, available::float8 AS available, backordered::float8 AS backordered,
             nullif(next_arrival, 'infinity')::text AS "nextArrival",
             CASE WHEN next_arrival < $1::date THEN (
               SELECT sum(purchased) FROM inventory.stock_batch AS b
               WHERE b.sku = s.sku AND eta IS NOT NULL AND NOT cancelled AND eta < $1::date
             ) ELSE 0 END::float8 AS "lateUnits"
      FROM inventory.stock AS s ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
      ORDER BY ${orders[order].by} LIMIT $2`,
  };
};

@QueryHandler(GetStock)
export class GetStockHandler implements IQueryHandler<GetStock> {
  constructor(private readonly database: Database) {}

  async execute({ sku, most }: GetStock): Promise<Stock | null> {
    const [known] = await this.database.query<RecordedStock>(stockOfSku, [sku]);
    return known ? stockOf(known, dayOf(new Date()), most) : null;
  }
}

@QueryHandler(ListStock)
export class ListStockHandler implements IQueryHandler<ListStock> {
  constructor(private readonly database: Database) {}

  async execute({ limit, order, status, after }: ListStock): Promise<StockPage> {
    const values = [dayOf(new Date()), limit + 1, ...(after ? orders[order].key(after) : [])];
    const rows = await this.database.query<StockLevels>(page(order, status, after), values);
    const stock = rows.slice(0, limit);
    const last = stock.at(-1);
    if (rows.length <= limit || !last) return { stock, next: null };
    const { sku, available, nextArrival } = last;
    return { stock, next: { sku, available, nextArrival } };
  }
}
