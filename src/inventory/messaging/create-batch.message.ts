import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { CreateBatch } from '../../allocation/contract/commands';
import { BrokerMessage } from '../../platform/broker/broker-message';
import { Eta, Id, StockQuantity } from '../../platform/http/fields';

const NewBatch = z.object({ ref: Id, sku: Id, qty: StockQuantity, eta: Eta.default(null) });
type NewBatch = z.output<typeof NewBatch>;

/** A batch was bought, or has arrived. */
@Injectable()
export class CreateBatchMessage extends BrokerMessage<NewBatch> {
  readonly type = 'create_batch';
  readonly schema = NewBatch;

  toCommand({ ref, sku, qty, eta }: NewBatch): CreateBatch {
    return new CreateBatch(ref, sku, qty, eta);
  }

  override aboutSku({ sku }: NewBatch): string {
    return sku;
  }
}
