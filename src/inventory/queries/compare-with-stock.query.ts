import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { type BatchState, GetBatches } from '../../allocation/contract/queries';
import { CompareWithStock, type RowAction } from '../contract/imports';
import { compareWithStock } from '../domain/compare-with-stock';

@QueryHandler(CompareWithStock)
export class CompareWithStockHandler implements IQueryHandler<CompareWithStock> {
  constructor(private readonly queries: QueryBus) {}

  async execute({ rows, earlier }: CompareWithStock): Promise<RowAction[]> {
    const refs = new Set(rows.flatMap((row) => (row.problem === undefined ? [row.ref] : [])));
    const stock = await this.queries.execute<GetBatches, BatchState[]>(new GetBatches([...refs]));
    return compareWithStock(rows, stock, earlier);
  }
}
