import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { Allocate, type Allocation } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(Allocate)
export class AllocateHandler implements ICommandHandler<Allocate> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ line, options }: Allocate): Promise<Allocation> {
    return this.unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) =>
      products.get(line.sku).allocate(line, options),
    );
  }
}
