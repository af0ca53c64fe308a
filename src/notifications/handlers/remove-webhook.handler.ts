import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { RemoveWebhook } from '../contract/commands';
import { WebhookRegistry } from '../domain/webhook-registry';

@CommandHandler(RemoveWebhook)
export class RemoveWebhookHandler implements ICommandHandler<RemoveWebhook> {
  constructor(private readonly webhooks: WebhookRegistry) {}

  execute({ id }: RemoveWebhook): Promise<void> {
    return this.webhooks.remove(id);
  }
}
