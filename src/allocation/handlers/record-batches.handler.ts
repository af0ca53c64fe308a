import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type BatchChange, type BatchCreation, CreateBatch, RecordBatches } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(RecordBatches)
export class RecordBatchesHandler implements ICommandHandler<RecordBatches> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ facts }: RecordBatches): Promise<(BatchCreation | BatchChange)[]> {
    const skus = facts.flatMap((fact) => (fact instanceof CreateBatch ? [fact.sku] : []));
    return this.unitOfWork.run({ skus, refs: facts.map(({ ref }) => ref) }, (products) =>
      facts.map((fact) =>
        fact instanceof CreateBatch
          ? products.claim(fact.ref, fact.sku).addBatch(fact)
          : products.getByBatchRef(fact.ref).changeBatch(fact.ref, fact.change),
      ),
    );
  }
}
