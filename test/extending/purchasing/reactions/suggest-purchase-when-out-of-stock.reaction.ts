import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { OutOfStock } from '../../../../src/allocation/contract/events';
import { Database } from '../../../../src/platform/database/database';
import { Reaction } from '../../../../src/platform/event-log/subscriber';

const suggest = {
  text: 'INSERT INTO purchasing.suggestion (event_id, sku, qty) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
};

@Reaction({ name: 'suggest-purchase-when-out-of-stock', afterLastAttempt: 'skip' })
@EventsHandler(OutOfStock)
export class SuggestPurchaseWhenOutOfStock implements IEventHandler<OutOfStock> {
  constructor(private readonly database: Database) {}

  async handle({ origin, data }: OutOfStock): Promise<void> {
    await this.database.query(suggest, [origin!.id, data.sku, data.qty]);
  }
}
