import { z } from 'zod';
import { CursorText, Limit } from '../../platform/http/fields';
import { problem } from '../../platform/http/problem';
import type { WebhookDelivery as DeliveryState, Webhook as WebhookState } from '../contract/queries';

export const WebhookId = z.uuid().describe('Names the webhook.');
export const DeliveryId = z.uuid().describe('Names the delivery.');

const EventType = z
  .string()
  .max(100)
  .regex(/^[a-z]+\.[a-z]+(?:-[a-z]+)*\.v[1-9]\d*$/, 'the wire name of an event is allowed, allocation.allocated.v1')
  .describe('The wire name and version of a kind of event: `allocation.allocated.v1`.');

const EventTypes = z
  .union([z.enum(['all']), z.array(EventType).min(1).max(100)])
  .describe('The events that it is told of; `all`: also those that are yet to come.');

const Description = z
  .string()
  .max(200)
  .refine((text) => !/\p{Cc}|\p{Cs}/u.test(text), 'one line of text is allowed')
  .describe('What it is for.');

const TargetUrl = z
  .string()
  .max(2_048)
  .regex(/^https?:\/\/[!-~]+$/, 'a URL that begins with https:// is allowed, without spaces, other characters encoded')
  .describe('Where the events are sent, over https to the public internet unless the operator allows more.');

export const WebhookRequest = z
  .strictObject({ url: TargetUrl, eventTypes: EventTypes, description: Description.default('') })
  .meta({
    id: 'WebhookRequest',
    description: 'An endpoint that is to be told of events.',
    examples: [{ url: 'https://shop.example.com/stock-events', eventTypes: ['allocation.allocated.v1'] }],
  });

export type WebhookRequest = z.output<typeof WebhookRequest>;

export const WebhookChangeRequest = z
  .strictObject({
    eventTypes: EventTypes.optional(),
    description: Description.optional(),
    enabled: z.boolean().optional().describe('false: nothing is sent, and what happens meanwhile never will be.'),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'at least one member is needed')
  .meta({
    id: 'WebhookChangeRequest',
    description: 'What is to change; the rest stays as it is.',
    examples: [{ enabled: false }],
    minProperties: 1,
  });

export type WebhookChangeRequest = z.output<typeof WebhookChangeRequest>;

export const WebhookListQuery = z.strictObject({
  limit: Limit.describe('How many webhooks the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type WebhookListQuery = z.output<typeof WebhookListQuery>;

const status = z.enum(['pending', 'delivered', 'dead']);

export const WebhookDeliveryListQuery = z.strictObject({
  status: status.optional().describe('Only deliveries that stand like this.'),
  limit: Limit.describe('How many deliveries the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type WebhookDeliveryListQuery = z.output<typeof WebhookDeliveryListQuery>;

/** Where a page of webhooks, or of deliveries, ended. */
export const PlaceById = z.strictObject({ id: z.uuid() });

const next = CursorText.nullable().describe('The cursor of the next page; null on the last.');
const instant = z.iso.datetime();

const webhookMembers = {
  id: WebhookId,
  url: z.string(),
  description: z.string(),
  eventTypes: EventTypes,
  enabled: z.boolean(),
  disabledBecause: z.string().nullable().describe('Why it was disabled, if nobody asked for that.'),
  circuit: z
    .enum(['closed', 'open', 'half-open'])
    .describe(
      '`closed`: all is well. `open`: it failed too often in a row, and is left alone for a while. `half-open`: one delivery ' +
        'at a time is tried, until one is accepted.',
    ),
  createdAt: instant,
};

export const Webhook = z
  .object(webhookMembers)
  .meta({ id: 'Webhook', description: 'An endpoint that is told of events.' });

export type Webhook = z.output<typeof Webhook>;

export const WebhookWithSecret = z
  .object({
    ...webhookMembers,
    secret: z
      .string()
      .nullable()
      .describe(
        'Signs what is sent, as in Standard Webhooks. It is shown this once: keep it safe. Null only if the request is ' +
          'repeated with its Idempotency-Key after the secret has ceased to sign.',
      ),
  })
  .meta({ id: 'WebhookWithSecret', description: 'A webhook and its new secret.' });

export type WebhookWithSecret = z.output<typeof WebhookWithSecret>;

export const WebhookPage = z
  .object({ webhooks: z.array(Webhook), next })
  .meta({ id: 'WebhookPage', description: 'Webhooks, oldest first.' });

export type WebhookPage = z.output<typeof WebhookPage>;

const WebhookDelivery = z
  .object({
    id: DeliveryId,
    eventId: z.uuid().describe('The `id` of the event that is told.'),
    type: EventType,
    stream: z.string().describe('Whose event it is: `product:<sku>`.'),
    version: z.int().describe('The place of the event in its stream. Deliveries promise no order.'),
    status,
    attempts: z.int().describe('How often it was tried.'),
    responseStatus: z.int().nullable().describe('What the endpoint answered last; null: there was no answer.'),
    error: z.string().nullable().describe('Why the last attempt that failed did.'),
    createdAt: instant,
    nextAttemptAt: instant.nullable().describe('Not before then; null unless it is pending.'),
    doneAt: instant.nullable().describe('Null while it is pending.'),
  })
  .meta({
    id: 'WebhookDelivery',
    description: 'An event on its way to a webhook.',
  }) satisfies z.ZodType<DeliveryState>;

export const WebhookDeliveryPage = z
  .object({ deliveries: z.array(WebhookDelivery), next })
  .meta({ id: 'WebhookDeliveryPage', description: 'Deliveries of a webhook, latest first.' });

export type WebhookDeliveryPage = z.output<typeof WebhookDeliveryPage>;

export const Redelivery = z
  .object({ id: DeliveryId, status: z.enum(['pending']) })
  .meta({ id: 'Redelivery', description: 'A delivery that will be sent again.' });

export type Redelivery = z.output<typeof Redelivery>;

const webhook = {
  id: '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47',
  url: 'https://shop.example.com/stock-events',
  description: '',
  eventTypes: ['allocation.allocated.v1'],
  enabled: true,
  disabledBecause: null,
  circuit: 'closed',
  createdAt: '2026-11-22T10:00:00.000Z',
} satisfies WebhookState;

const delivery: DeliveryState = {
  id: '0199f4b3-0b1c-7d3a-8c55-3f0a8b1e2d48',
  eventId: '0199f4b3-0a77-7d10-9b3e-6a1f0c2d4e5f',
  type: 'allocation.allocated.v1',
  stream: 'product:SMALL-TABLE',
  version: 7,
  status: 'pending',
  attempts: 2,
  responseStatus: 503,
  error: 'it answered 503',
  createdAt: '2026-11-22T10:05:00.000Z',
  nextAttemptAt: '2026-11-22T10:05:16.000Z',
  doneAt: null,
};

/** Webhooks as they appear in the documentation. */
export const webhookExample = {
  webhook,
  created: { ...webhook, secret: 'whsec_RmFyIHRvbyB3ZWxsIGtub3duIHRvIHNpZ24gYW55dGhpbmcu' },
  page: { webhooks: [webhook], next: null },
  disabled: { ...webhook, enabled: false },
  deliveries: { deliveries: [delivery], next: null },
  redelivery: { id: delivery.id, status: 'pending' as const },
};

export const unknownWebhook = problem(404, 'unknown-webhook', `There is no webhook ${webhook.id}.`, { id: webhook.id });
export const unknownDelivery = problem(
  404,
  'unknown-delivery',
  `There is no delivery ${delivery.id}; what was sent is kept for some time only.`,
  {
    id: delivery.id,
  },
);
export const webhookUrlRefused = problem(
  400,
  'webhook-url-refused',
  'Nothing is sent to this URL: 127.0.0.1 is not an address of the public internet.',
  { reason: '127.0.0.1 is not an address of the public internet' },
);
export const invalidCursor = problem(
  400,
  'invalid-cursor',
  'The cursor is not one that this service gave out; start from the first page.',
);
