import { z } from 'zod';
import { CursorText, Limit } from '../../platform/http/fields';
import type { Delivery as DeliveryState } from '../contract/queries';
import { DeliveryId } from './webhooks.schema';

const status = z.enum(['dead', 'pending']);

export const DeliveryListQuery = z.strictObject({
  status: status.default('dead').describe('`dead`: given up. `pending`: waiting to be sent, or sent again.'),
  limit: Limit.describe('How many deliveries the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type DeliveryListQuery = z.output<typeof DeliveryListQuery>;

const Delivery = z
  .object({
    id: DeliveryId,
    channel: z.enum(['mail', 'webhook']),
    to: z.string().describe('A mail address or a URL.'),
    about: z.string(),
    status: z.string(),
    attempts: z.int().min(0).describe('How often it was tried.'),
    error: z.string().nullable().describe('Why the last attempt that failed did.'),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Delivery', description: 'A mail or a webhook delivery.' }) satisfies z.ZodType<DeliveryState>;

export const DeliveryPage = z
  .object({
    deliveries: z.array(Delivery),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'DeliveryPage', description: 'Deliveries, oldest first.' });

export type DeliveryPage = z.output<typeof DeliveryPage>;

/** Deliveries as they appear in the documentation. */
export const deliveryExample: DeliveryPage = {
  deliveries: [
    {
      id: '0199f4b3-0b1c-7d3a-8c55-3f0a8b1e2d48',
      channel: 'mail',
      to: 'stock@made.com',
      about: 'out-of-stock SMALL-TABLE',
      status: 'dead',
      attempts: 40,
      error: 'connect ECONNREFUSED 192.0.2.7:25',
      createdAt: '2026-11-21T10:05:00.000Z',
    },
  ],
  next: null,
};
