import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { ChangeBatch } from '../../allocation/contract/commands';
import { BrokerMessage } from '../../platform/broker/broker-message';
import { Id, StockQuantity } from '../../platform/http/fields';

const BatchQuantity = z.object({ batchref: Id, qty: StockQuantity });
type BatchQuantity = z.output<typeof BatchQuantity>;

/** The warehouse has counted a batch: the book's message, on its channel or in the stream. */
@Injectable()
export class ChangeBatchQuantityMessage extends BrokerMessage<BatchQuantity> {
  readonly type = 'change_batch_quantity';
  override readonly channel = 'change_batch_quantity';
  readonly schema = BatchQuantity;

  toCommand({ batchref, qty }: BatchQuantity): ChangeBatch {
    return new ChangeBatch(batchref, { qty });
  }
}
