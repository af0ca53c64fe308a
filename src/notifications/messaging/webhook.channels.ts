import { Injectable } from '@nestjs/common';
import { type Channel, Channels, eventReference } from '../../platform/feed/async-api';
import { EventCatalogue } from '../../platform/feed/event-catalogue';

const headers = {
  type: 'object',
  properties: {
    'webhook-id': { type: 'string', description: 'The same in every attempt.' },
    'webhook-timestamp': { type: 'string', description: 'When it was sent, in seconds since 1970.' },
    'webhook-signature': { type: 'string', description: 'As Standard Webhooks say: `v1,…`, one for each secret.' },
  },
  required: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
};

/** The endpoints that were registered at `POST /v1/webhooks`. */
@Injectable()
export class WebhookChannels extends Channels {
  constructor(private readonly catalogue: EventCatalogue) {
    super();
  }

  get channels(): readonly Channel[] {
    return [
      {
        name: 'webhooks',
        address: null,
        description: 'A POST to every webhook that asked for the type, at least once and in no promised order.',
        action: 'send',
        messages: this.catalogue.types.map((type) => ({
          name: type,
          contentType: 'application/cloudevents+json',
          headers,
          payload: eventReference(type),
        })),
      },
    ];
  }
}
