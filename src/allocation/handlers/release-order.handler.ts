import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { ReleaseOrder, type Release } from '../contract/commands';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(ReleaseOrder)
export class ReleaseOrderHandler implements ICommandHandler<ReleaseOrder> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute({ orderId }: ReleaseOrder): Promise<Release> {
    return this.unitOfWork.run({ orders: [orderId] }, (products) => products.release(products.linesOf(orderId)));
  }
}
