import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { RotateWebhookSecret, type WebhookWithSecret } from '../contract/commands';
import { WebhookRegistry } from '../domain/webhook-registry';

@CommandHandler(RotateWebhookSecret)
export class RotateWebhookSecretHandler implements ICommandHandler<RotateWebhookSecret> {
  constructor(private readonly webhooks: WebhookRegistry) {}

  execute({ id }: RotateWebhookSecret): Promise<WebhookWithSecret> {
    return this.webhooks.rotateSecret(id);
  }
}
