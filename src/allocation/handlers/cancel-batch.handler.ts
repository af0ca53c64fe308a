import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { CancelBatch, type BatchChange } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(CancelBatch)
export class CancelBatchHandler implements ICommandHandler<CancelBatch> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ ref }: CancelBatch): Promise<BatchChange> {
    return this.unitOfWork.run({ refs: [ref] }, (products) => products.getByBatchRef(ref).cancelBatch(ref));
  }
}
