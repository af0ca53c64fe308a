import { Injectable } from '@nestjs/common';
import { type Channel, Channels, eventReference } from './async-api';
import { EventCatalogue } from './event-catalogue';

/** The events as they happen, over HTTP. */
@Injectable()
export class FeedChannels extends Channels {
  constructor(private readonly catalogue: EventCatalogue) {
    super();
  }

  get channels(): readonly Channel[] {
    return [
      {
        name: 'events',
        address: '/v1/events/stream',
        server: 'http',
        description:
          'Server-sent events, at least once and in order per source and subject: `id` is a cursor, `event` the type, `data` ' +
          'the CloudEvent. `Last-Event-ID` goes on behind a cursor. The same can be read page by page: `GET /v1/events`.',
        action: 'send',
        messages: this.catalogue.types.map((type) => ({
          name: type,
          contentType: 'application/cloudevents+json',
          payload: eventReference(type),
        })),
      },
    ];
  }
}
