import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { RegisterWebhook, type WebhookWithSecret } from '../contract/commands';
import { WebhookUrlRefused } from '../domain/errors';
import { WebhookDestinations } from '../domain/webhook-destinations';
import { WebhookRegistry } from '../domain/webhook-registry';

@CommandHandler(RegisterWebhook)
export class RegisterWebhookHandler implements ICommandHandler<RegisterWebhook> {
  constructor(
    private readonly webhooks: WebhookRegistry,
    private readonly destinations: WebhookDestinations,
  ) {}

  async execute(webhook: RegisterWebhook): Promise<WebhookWithSecret> {
    const objection = this.destinations.objectionTo(webhook.url);
    if (objection !== undefined) throw new WebhookUrlRefused(objection);
    return this.webhooks.add(webhook);
  }
}
