import type { EventTypes, Webhook } from './queries';

/**
 * Tells an endpoint of every event of some types that happens from now on. Answer: {@link WebhookWithSecret}.
 * Refused with `webhook-url-refused` if the URL leads where nothing may be sent.
 */
export class RegisterWebhook {
  constructor(
    readonly url: string,
    readonly eventTypes: EventTypes,
    readonly description = '',
  ) {}
}

/** A webhook and the secret that signs what is sent to it: told to who asked for it, and to nobody else. */
export interface WebhookWithSecret {
  readonly webhook: Webhook;
  /**
   * `whsec_…`, as the libraries of Standard Webhooks take it. Null only for a request that is repeated with its idempotency
   * key after the secret has ceased to sign.
   */
  readonly secret: string | null;
}

/** Changes what is named; the rest stays as it is. Answer: {@link Webhook}. Refused with `unknown-webhook`. */
export class ChangeWebhook {
  constructor(
    readonly id: string,
    readonly change: WebhookChange,
  ) {}
}

export interface WebhookChange {
  readonly eventTypes?: EventTypes | undefined;
  readonly description?: string | undefined;
  /** Disabled: events of that time are never sent; deliveries that waited before go on when it is enabled again. */
  readonly enabled?: boolean | undefined;
  /** Why it was disabled, if nobody asked for that. */
  readonly because?: string | undefined;
}

/** Forgets the endpoint, and all its deliveries. Refused with `unknown-webhook`. */
export class RemoveWebhook {
  constructor(readonly id: string) {}
}

/**
 * Gives it a new secret. For 24 hours the one before it also signs; what came before that ends at once.
 * Answer: {@link WebhookWithSecret}. Refused with `unknown-webhook`.
 */
export class RotateWebhookSecret {
  constructor(readonly id: string) {}
}

/**
 * Has a mail or a webhook delivery sent again, with the same id, whatever became of it; its attempts begin anew. One that
 * waits is due at once. Refused with `unknown-delivery`.
 */
export class Redeliver {
  /** @param webhookId only if it is a delivery of this webhook */
  constructor(
    readonly id: string,
    readonly webhookId?: string,
  ) {}
}
