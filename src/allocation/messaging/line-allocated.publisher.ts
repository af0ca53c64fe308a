import { Injectable } from '@nestjs/common';
import { BrokerPublisher } from '../../platform/broker/broker.publisher';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import { Allocated } from '../contract/events';

/** The book's message: its members, in its order. */
function messageOf({ data: { orderId, sku, qty, batchRef } }: StoredEvent): string {
  return JSON.stringify({ orderid: orderId, sku, qty, batchref: batchRef });
}

/** Tells on the book's channel `line_allocated` of every line that was promised, again or for the first time. */
@Injectable()
export class LineAllocatedPublisher extends BrokerPublisher {
  readonly name = 'line-allocated';
  override readonly events = [Allocated];

  async publish(events: readonly StoredEvent[]): Promise<void> {
    await this.broker.publish('line_allocated', events.map(messageOf));
  }
}
