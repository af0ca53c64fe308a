import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { BrokerMessage } from '../../platform/broker/broker-message';
import { Id } from '../../platform/http/fields';
import { ReleaseLine } from '../contract/commands';

const Line = z.object({ orderid: Id, sku: Id, lineid: Id.default('1') });
type Line = z.output<typeof Line>;

/** The promise of an order line is to be given back. */
@Injectable()
export class DeallocateMessage extends BrokerMessage<Line> {
  readonly type = 'deallocate';
  readonly schema = Line;

  toCommand({ orderid, lineid, sku }: Line): ReleaseLine {
    return new ReleaseLine({ orderId: orderid, lineId: lineid, sku });
  }

  override aboutSku({ sku }: Line): string {
    return sku;
  }
}
