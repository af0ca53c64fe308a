import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { Redeliver } from '../contract/commands';
import { DeliveryArchive } from '../domain/delivery-archive';

@CommandHandler(Redeliver)
export class RedeliverHandler implements ICommandHandler<Redeliver> {
  constructor(private readonly deliveries: DeliveryArchive) {}

  execute({ id, webhookId }: Redeliver): Promise<void> {
    return this.deliveries.redeliver(id, webhookId);
  }
}
