import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AmendLine, type Allocation } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(AmendLine)
export class AmendLineHandler implements ICommandHandler<AmendLine> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ line, qty }: AmendLine): Promise<Allocation> {
    return this.unitOfWork.run({ lines: [line] }, (products) => products.get(line.sku).amend(line, qty));
  }
}
