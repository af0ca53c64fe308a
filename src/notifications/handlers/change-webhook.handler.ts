import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { ChangeWebhook } from '../contract/commands';
import type { Webhook } from '../contract/queries';
import { WebhookRegistry } from '../domain/webhook-registry';

@CommandHandler(ChangeWebhook)
export class ChangeWebhookHandler implements ICommandHandler<ChangeWebhook> {
  constructor(private readonly webhooks: WebhookRegistry) {}

  execute({ id, change }: ChangeWebhook): Promise<Webhook> {
    return this.webhooks.change(id, change);
  }
}
