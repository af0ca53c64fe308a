import type { RegisterWebhook, WebhookChange, WebhookWithSecret } from '../contract/commands';
import type { Webhook } from '../contract/queries';

/** All webhooks. Changes of one webhook take effect in the order in which they are answered. */
export abstract class WebhookRegistry {
  abstract add(webhook: RegisterWebhook): Promise<WebhookWithSecret>;

  /** @throws UnknownWebhook */
  abstract change(id: string, change: WebhookChange): Promise<Webhook>;

  /** @throws UnknownWebhook */
  abstract remove(id: string): Promise<void>;

  /** @throws UnknownWebhook */
  abstract rotateSecret(id: string): Promise<WebhookWithSecret>;
}
