import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AllocateOrder, type OrderAllocation } from '../contract/commands';
import { allocateOrder } from '../domain/allocate-order';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

@CommandHandler(AllocateOrder)
export class AllocateOrderHandler implements ICommandHandler<AllocateOrder> {
  constructor(private readonly unitOfWork: ProductUnitOfWork) {}

  execute(order: AllocateOrder): Promise<OrderAllocation> {
    return this.unitOfWork.run({ lines: order.lines }, (products) => allocateOrder(order, products));
  }
}
