import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { CreateBatch, type BatchCreation } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(CreateBatch)
export class CreateBatchHandler implements ICommandHandler<CreateBatch> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute(batch: CreateBatch): Promise<BatchCreation> {
    return this.unitOfWork.run({ skus: [batch.sku], refs: [batch.ref] }, (products) =>
      products.claim(batch.ref, batch.sku).addBatch(batch),
    );
  }
}
