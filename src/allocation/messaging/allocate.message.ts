import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { BrokerMessage } from '../../platform/broker/broker-message';
import { Id } from '../../platform/http/fields';
import { Allocate } from '../contract/commands';
import { BookLine } from '../http/book.schema';

const Line = BookLine.extend({ lineid: Id.default('1') });
type Line = z.output<typeof Line>;

/** An order line is to be promised, in the words of the book. */
@Injectable()
export class AllocateMessage extends BrokerMessage<Line> {
  readonly type = 'allocate';
  readonly schema = Line;

  toCommand({ orderid, lineid, sku, qty }: Line): Allocate {
    return new Allocate({ orderId: orderid, lineId: lineid, sku, qty });
  }

  override aboutSku({ sku }: Line): string {
    return sku;
  }
}
