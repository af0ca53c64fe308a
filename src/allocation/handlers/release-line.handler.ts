import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { ReleaseLine, type Release } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(ReleaseLine)
export class ReleaseLineHandler implements ICommandHandler<ReleaseLine> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ line }: ReleaseLine): Promise<Release> {
    return this.unitOfWork.run({ lines: [line] }, (products) => products.release([line]));
  }
}
