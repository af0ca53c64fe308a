import { Injectable } from '@nestjs/common';
import { Allocated, OutOfStock } from '../../../../src/allocation/contract/events';
import type { Queryable } from '../../../../src/platform/database/database';
import type { StoredEvent } from '../../../../src/platform/event-log/stored-event';
import { Projection } from '../../../../src/platform/event-log/subscriber';

const add = {
  text: `
    INSERT INTO demand (sku, units) VALUES ($1, $2)
    ON CONFLICT (sku) DO UPDATE SET units = demand.units + excluded.units`,
};

@Injectable()
export class DemandProjection extends Projection {
  readonly name = 'demand';
  readonly schema = 'purchasing';
  readonly tables = ['demand'];
  readonly events = [Allocated, OutOfStock];

  async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
    for (const { data } of events) await transaction.query(add, [data.sku, data.qty]);
  }
}
