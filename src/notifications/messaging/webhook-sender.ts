import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { toCloudEvent } from '../../platform/event-log/cloud-event';
import { readEvents } from '../../platform/event-log/event-log-reader';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import { ChangeWebhook } from '../contract/commands';
import { DeliverySender } from './delivery-sender';
import { Destinations } from './destinations';
import { DueWebhooks, type DueWebhook } from './due-webhooks';
import { post } from './webhook-post';
import { signatureOf } from './webhook-signature';

/** A delivery together with what is to be told. */
interface Due extends DueWebhook {
  readonly event: StoredEvent | undefined;
}

const gone = 410;

/** The endpoint answered, and did not accept. */
class NotAccepted extends Error {
  constructor(readonly status: number) {
    super(`it answered ${status}${status >= 300 && status < 400 ? ', and redirects are not followed' : ''}`);
  }
}

/**
 * Tells webhooks of events, signed as Standard Webhooks: any answer of 2xx is acceptance. One that is not accepted within
 * three days is dead; an endpoint that fails again and again is left alone for a while, and one that is gone for good.
 */
@Injectable()
export class WebhookSender extends DeliverySender<Due, number> {
  override limits = { attempt: 15_000, look: 1_000, stop: 10_000 };
  protected readonly atOnce = 20;

  constructor(
    private readonly database: Database,
    private readonly destinations: Destinations,
    private readonly commands: CommandBus,
  ) {
    super();
  }

  protected async claim(limit: number, seconds: number): Promise<Due[]> {
    const due = await DueWebhooks.claim(this.database, limit, seconds);
    if (due.length === 0) return [];
    const events = new Map((await readEvents(this.database, due)).map((event) => [event.id, event]));
    return due.map((delivery) => ({ ...delivery, event: events.get(delivery.eventId) }));
  }

  /** @returns the status of the answer */
  protected async handOver(due: Due, signal: AbortSignal): Promise<number> {
    const { url, eventId, webhookId, claimedAt, secrets, event } = due;
    if (!event) throw new Error('the event is not in the log');
    const body = JSON.stringify(toCloudEvent(event));
    const id = `${eventId}_${webhookId}`;
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'Batchwise',
      'webhook-id': id,
      'webhook-timestamp': String(claimedAt),
      'webhook-signature': signatureOf(secrets, id, claimedAt, body),
    };
    const status = await post(new URL(url), headers, body, { destinations: this.destinations, signal });
    if (status < 200 || status > 299) throw new NotAccepted(status);
    return status;
  }

  protected async accepted(delivery: Due, status: number): Promise<string> {
    await DueWebhooks.close(this.database, delivery, 'delivered', status);
    return 'delivered';
  }

  protected async failed(delivery: Due, error: unknown, reason: string): Promise<boolean> {
    const status = error instanceof NotAccepted ? error.status : null;
    if (status !== gone) return DueWebhooks.postpone(this.database, delivery, status, reason);
    const change = { enabled: false, because: 'it answered 410 Gone' };
    await this.commands.execute(new ChangeWebhook(delivery.webhookId, change));
    return DueWebhooks.close(this.database, delivery, 'dead', gone, reason);
  }

  protected nameOf({ id, webhookId }: Due): string {
    return `delivery ${id} to webhook ${webhookId}`;
  }
}
