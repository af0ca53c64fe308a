import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { ExplainAllocation, type Explanation } from '../contract/queries';
import { ProductDryRun } from '../domain/product-unit-of-work';

@QueryHandler(ExplainAllocation)
export class ExplainAllocationHandler implements IQueryHandler<ExplainAllocation> {
  constructor(private readonly dryRun: ProductDryRun) {}

  execute(query: ExplainAllocation): Promise<Explanation> {
    const { line } = query;
    return this.dryRun.preview((unitOfWork) =>
      unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) => products.get(line.sku).explain(query)),
    );
  }
}
