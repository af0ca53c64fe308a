import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { ChangeBatch, type BatchChange } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(ChangeBatch)
export class ChangeBatchHandler implements ICommandHandler<ChangeBatch> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ ref, change }: ChangeBatch): Promise<BatchChange> {
    return this.unitOfWork.run({ refs: [ref] }, (products) => products.getByBatchRef(ref).changeBatch(ref, change));
  }
}
