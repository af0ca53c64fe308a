import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { GetQuote, type Quote } from '../contract/queries';
import { ProductDryRun } from '../domain/product-unit-of-work';

@QueryHandler(GetQuote)
export class GetQuoteHandler implements IQueryHandler<GetQuote> {
  constructor(private readonly dryRun: ProductDryRun) {}

  execute(quote: GetQuote): Promise<Quote> {
    return this.dryRun.preview((unitOfWork) =>
      unitOfWork.run({ skus: [quote.sku] }, (products) => products.get(quote.sku).quote(quote)),
    );
  }
}
