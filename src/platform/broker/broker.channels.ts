import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { type Channel, Channels, dataReference, payloadOf } from '../feed/async-api';
import { EventCatalogue } from '../feed/event-catalogue';
import { Id } from '../http/fields';
import { providersOf } from '../providers';
import { BrokerMessage } from './broker-message';

const fields = (properties: Readonly<Record<string, object>>): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

const id = payloadOf(Id);
const text = { type: 'string' };

/** The streams of the broker, and the channels of what is taken from it. */
@Injectable()
export class BrokerChannels extends Channels {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly catalogue: EventCatalogue,
  ) {
    super();
  }

  get channels(): readonly Channel[] {
    return [this.events(), this.commands(), dead, ...this.taken()];
  }

  private events(): Channel {
    return {
      name: 'batchwise.events',
      address: 'batchwise.events',
      server: 'redis',
      description:
        'A stream: one entry per event, at least once and in order per subject. The headers are fields of the entry; the ' +
        'payload is its field `data`, as JSON.',
      action: 'send',
      messages: this.catalogue.types.map((type) => ({
        name: type,
        headers: fields({
          id: { type: 'string', format: 'uuid' },
          type: { const: type },
          subject: { type: 'string', description: 'The SKU, or the pattern of a threshold.' },
          version: { type: 'string', pattern: '^[1-9][0-9]*$' },
        }),
        payload: dataReference(type),
      })),
    };
  }

  private commands(): Channel {
    return {
      name: 'batchwise.commands',
      address: 'batchwise.commands',
      server: 'redis',
      description:
        'A stream that is worked once per `id`, in order per SKU. The headers are fields of the entry; the payload is its field ' +
        '`data`, as JSON. Further members are ignored.',
      action: 'receive',
      messages: this.kinds.map(({ type, schema }) => ({
        name: type,
        headers: fields({ id, type: { const: type } }),
        payload: payloadOf(schema),
      })),
    };
  }

  private taken(): Channel[] {
    return this.kinds
      .filter(({ channel }) => channel !== undefined)
      .map(({ channel, type, schema }) => ({
        name: channel!,
        address: channel!,
        server: 'redis',
        description: 'A channel: what comes while nobody listens is lost. Further members are ignored.',
        action: 'receive',
        messages: [{ name: type, payload: payloadOf(schema) }],
      }));
  }

  private get kinds(): BrokerMessage[] {
    return providersOf(this.discovery, BrokerMessage);
  }
}

const dead: Channel = {
  name: 'batchwise.commands.dead',
  address: 'batchwise.commands.dead',
  server: 'redis',
  description:
    'A stream: entries of `batchwise.commands` that can never succeed. The fields of the entry follow these.',
  action: 'send',
  messages: [
    {
      name: 'dead',
      payload: fields({
        reason: { ...text, description: 'Why.' },
        entry: { ...text, description: 'The id of the entry in its stream.' },
      }),
    },
  ],
};
