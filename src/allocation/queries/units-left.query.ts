import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { GetUnitsLeft, ListSkus, type UnitsLeft } from '../contract/queries';

/*
 * In one statement, which sees a SKU and its batches as one transaction left them. Not prepared, nor is the next: an old plan
 * would not fit tables that have grown.
 */
const unitsLeft = {
  text: `
    SELECT p.sku, p.version::float8 AS version, coalesce(sum(b.purchased::bigint - b.promised), 0)::float8 AS available
    FROM allocation.product AS p LEFT JOIN allocation.batch AS b ON b.sku = p.sku AND b.open
    WHERE p.sku = ANY($1::text[]) GROUP BY p.sku ORDER BY p.sku`,
};

const skusAfter = {
  text: 'SELECT sku FROM allocation.product WHERE sku > $1 AND starts_with(sku, $2) ORDER BY sku LIMIT $3',
};

@QueryHandler(GetUnitsLeft)
export class GetUnitsLeftHandler implements IQueryHandler<GetUnitsLeft> {
  constructor(private readonly database: Database) {}

  execute({ skus }: GetUnitsLeft): Promise<UnitsLeft[]> {
    return this.database.query<UnitsLeft>(unitsLeft, [skus]);
  }
}

@QueryHandler(ListSkus)
export class ListSkusHandler implements IQueryHandler<ListSkus> {
  constructor(private readonly database: Database) {}

  async execute({ limit, prefix, after }: ListSkus): Promise<string[]> {
    const rows = await this.database.query<{ sku: string }>(skusAfter, [after, prefix, limit]);
    return rows.map(({ sku }) => sku);
  }
}
