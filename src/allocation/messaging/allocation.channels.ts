import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { type Channel, Channels, payloadOf } from '../../platform/feed/async-api';
import { Id, Quantity } from '../../platform/http/fields';

/** The book's channel. */
@Injectable()
export class AllocationChannels extends Channels {
  readonly channels: readonly Channel[] = [
    {
      name: 'line_allocated',
      address: 'line_allocated',
      server: 'redis',
      description: 'A channel: every line that was promised, again or for the first time.',
      action: 'send',
      messages: [
        {
          name: 'line_allocated',
          payload: payloadOf(z.object({ orderid: Id, sku: Id, qty: Quantity, batchref: Id })),
        },
      ],
    },
  ];
}
