import { z } from 'zod';

/** A kind of message on a channel. */
export interface ChannelMessage {
  /** Unique on its channel: letters, digits and . _ - */
  readonly name: string;
  readonly summary?: string;
  readonly contentType?: string;
  /** JSON Schemas; of headers, or of the fields beside the data. */
  readonly headers?: object;
  readonly payload: object;
}

/** Where messages go, and which. */
export interface Channel {
  /** Unique: letters, digits and . _ - */
  readonly name: string;
  /** What it is called on its server; null: whoever takes the messages says where. */
  readonly address: string | null;
  readonly server?: 'redis' | 'http';
  readonly description: string;
  /** What this service does there. */
  readonly action: 'send' | 'receive';
  readonly messages: readonly ChannelMessage[];
}

/** The channels of a module, for their documentation. A provider that extends it is found by the AsyncAPI document. */
export abstract class Channels {
  abstract readonly channels: readonly Channel[];
}

const servers = {
  http: {
    host: '{host}',
    protocol: 'http',
    description: 'This service.',
    variables: { host: { default: 'localhost:3000' } },
  },
  redis: {
    host: '{host}',
    protocol: 'redis',
    description: 'The broker, if REDIS_URL names one.',
    variables: { host: { default: 'localhost:6379' } },
  },
};

/** The JSON Schema of what somebody sends, as AsyncAPI embeds it. */
export function payloadOf(schema: z.ZodType): object {
  const embedded: Record<string, unknown> = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  for (const name of ['$schema', 'id', '$id']) delete embedded[name];
  return embedded;
}

/** The place in the document of the schema of a kind of event's data, and of the CloudEvent around it. */
export const dataReference = (type: string): object => ({ $ref: `#/components/schemas/${type}` });
export const eventReference = (type: string): object => ({ $ref: `#/components/schemas/${type}.event` });

/**
 * The AsyncAPI document of channels.
 * @param schemas those that channels refer to, by name
 */
export function asyncApiDocument(
  info: { readonly version: string; readonly license: string },
  channels: readonly Channel[],
  schemas: Readonly<Record<string, object>>,
): object {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Batchwise',
      version: info.version,
      description: 'What Batchwise tells and is told by messages: events as they happen, and commands by Redis.',
      license: { name: info.license },
    },
    defaultContentType: 'application/json',
    servers,
    channels: Object.fromEntries(channels.map((channel) => [channel.name, channelOf(channel)])),
    operations: Object.fromEntries(
      channels.map((channel) => [`${channel.action}.${channel.name}`, operationOf(channel)]),
    ),
    components: { schemas },
  };
}

const channelOf = ({ address, server, description, messages }: Channel): object => ({
  address,
  description,
  ...(server && { servers: [{ $ref: `#/servers/${server}` }] }),
  messages: Object.fromEntries(messages.map((message) => [message.name, message])),
});

const operationOf = ({ name, action, messages }: Channel): object => ({
  action,
  channel: { $ref: `#/channels/${name}` },
  messages: messages.map((message) => ({ $ref: `#/channels/${name}/messages/${message.name}` })),
});
