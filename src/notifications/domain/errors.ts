import { DomainError } from '../../kernel/domain-error';

export class UnknownWebhook extends DomainError {
  constructor(id: string) {
    super('unknown-webhook', 'not-found', `There is no webhook ${id}.`, { id });
  }
}

export class UnknownDelivery extends DomainError {
  constructor(id: string) {
    super('unknown-delivery', 'not-found', `There is no delivery ${id}; what was sent is kept for some time only.`, {
      id,
    });
  }
}

/** The URL leads where nothing may be sent. */
export class WebhookUrlRefused extends DomainError {
  /** @param reason what is wrong with it, as a sentence without its full stop */
  constructor(reason: string) {
    super('webhook-url-refused', 'invalid', `Nothing is sent to this URL: ${reason}.`, { reason });
  }
}
