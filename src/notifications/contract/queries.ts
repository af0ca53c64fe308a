/** Wire names of events, or `all`: those of modules that are yet to come too. */
export type EventTypes = 'all' | readonly string[];

/** An endpoint that is told of events over HTTP. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly eventTypes: EventTypes;
  readonly enabled: boolean;
  /** Why it was disabled, if nobody asked for that. */
  readonly disabledBecause: string | null;
  /** `open`: it failed too often, and nothing is sent for a while; `half-open`: one delivery at a time is tried. */
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** ISO instant. */
  readonly createdAt: string;
}

/** One webhook. Answer: {@link Webhook}. @throws UnknownWebhook */
export class GetWebhook {
  constructor(readonly id: string) {}
}

/** Webhooks, oldest first. Answer: {@link WebhookPage}. */
export class ListWebhooks {
  /** @param after the id behind which the page starts: the `next` of the page before */
  constructor(
    readonly limit: number,
    readonly after?: string,
  ) {}
}

export interface WebhookPage {
  readonly webhooks: readonly Webhook[];
  /** Null on the last page. */
  readonly next: string | null;
}

/** One event on its way to one webhook. */
export interface WebhookDelivery {
  readonly id: string;
  readonly eventId: string;
  readonly type: string;
  /** The aggregate's kind and key, and the event's place there: deliveries promise no order. */
  readonly stream: string;
  readonly version: number;
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly attempts: number;
  /** What the endpoint answered last; null: nothing yet. */
  readonly responseStatus: number | null;
  /** Why the last attempt that failed did. */
  readonly error: string | null;
  /** ISO instants. */
  readonly createdAt: string;
  /** Null unless it is pending. */
  readonly nextAttemptAt: string | null;
  /** Null while it is pending. */
  readonly doneAt: string | null;
}

/** The deliveries of a webhook, latest first. Answer: {@link WebhookDeliveryPage}. @throws UnknownWebhook */
export class ListWebhookDeliveries {
  constructor(
    readonly webhookId: string,
    readonly limit: number,
    readonly status?: WebhookDelivery['status'],
    readonly after?: string,
  ) {}
}

export interface WebhookDeliveryPage {
  readonly deliveries: readonly WebhookDelivery[];
  readonly next: string | null;
}

/** A mail or a webhook delivery, as an operator sees it. */
export interface Delivery {
  readonly id: string;
  readonly channel: 'mail' | 'webhook';
  /** A mail address or a URL. */
  readonly to: string;
  readonly about: string;
  readonly status: string;
  readonly attempts: number;
  readonly error: string | null;
  /** ISO instant. */
  readonly createdAt: string;
}

/** Mails and webhook deliveries of one status, oldest first. Answer: `Delivery[]`. */
export class ListDeliveries {
  /** @param after the id of the last one of the page before */
  constructor(
    readonly status: string,
    readonly limit: number,
    readonly after?: string,
  ) {}
}
