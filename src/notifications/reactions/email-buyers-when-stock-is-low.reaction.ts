import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { StockLow } from '../../inventory/contract/events';
import { Database } from '../../platform/database/database';
import { Reaction } from '../../platform/event-log/subscriber';
import { DeliverySignal } from '../domain/delivery-signal';
import { StockLowMail } from '../domain/stock-low-mail';

const add = {
  name: 'stock-low-add',
  text: `
    INSERT INTO notifications.delivery
      (stream, version, event_id, kind, sku, channel, sender, recipient, subject, body, digest, spacing, next_attempt_at)
    VALUES ($1, $2, $3, 'stock-low', $4, 'mail', $5, $6, $7, $8, false, '0', clock_timestamp())
    ON CONFLICT (stream, version) WHERE kind = 'stock-low' DO NOTHING`,
};

/** Writes a mail when stock of a SKU has become low. Once an event, however often it is delivered. */
@EventsHandler(StockLow)
@Reaction({ name: 'email-buyers-when-stock-is-low', afterLastAttempt: 'skip' })
export class EmailBuyersWhenStockIsLow implements IEventHandler<StockLow> {
  constructor(
    private readonly database: Database,
    private readonly mail: StockLowMail,
    private readonly signal: DeliverySignal,
  ) {}

  async handle({ data, origin }: StockLow): Promise<void> {
    const { stream, version, id } = origin!;
    const { sender, recipient, subject, body } = this.mail.about(data);
    await this.database.query(add, [stream, version, id, data.sku, sender, recipient, subject, body]);
    this.signal.announce();
  }
}
