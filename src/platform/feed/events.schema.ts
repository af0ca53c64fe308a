import { z } from 'zod';
import type { CloudEvent as Told } from '../event-log/cloud-event';
import { InvalidCursor } from '../http/cursor';
import { CursorText } from '../http/fields';
import { type HttpError, problem } from '../http/problem';
import { CursorGone } from './event-cursor';
import { TooManyStreams } from './event-streams';

const After = z
  .union([z.literal('end'), CursorText])
  .describe('Begin behind this cursor; `end`: behind what there is now. Not given: at the first event.');

const Types = z
  .string()
  .regex(/^[a-z0-9.-]{1,100}(?:,[a-z0-9.-]{1,100}){0,99}$/, 'names of events are allowed, separated by commas')
  .describe('Only events of these types, separated by commas: `allocation.allocated.v1,allocation.deallocated.v1`.');

export const EventListQuery = z.strictObject({
  after: After.optional(),
  types: Types.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100).describe('How many events the page holds at most.'),
});

export type EventListQuery = z.output<typeof EventListQuery>;

export const EventStreamQuery = z.strictObject({ after: After.optional(), types: Types.optional() });

export type EventStreamQuery = z.output<typeof EventStreamQuery>;

export const CloudEvent = z
  .object({
    specversion: z.literal('1.0'),
    id: z.string().describe('Unique; the same whenever and however the event is told.'),
    source: z.string().describe('What kind of thing it happened to: `/batchwise/product`, `/batchwise/threshold`.'),
    type: z.string().describe('The kind of event and its version: `allocation.allocated.v1`.'),
    subject: z.string().describe('Which one of them: the SKU of a product, the pattern of a threshold.'),
    time: z.string().describe('When it happened, in UTC with microseconds.'),
    datacontenttype: z.literal('application/json'),
    dataschema: z.string().describe('The `$id` of the JSON Schema at `/docs/events/{type}.json`.'),
    version: z.int().min(1).describe('Its place among the events of its source and subject: 1, 2, 3 … without a gap.'),
    sequence: z.string().describe('The same as a text that sorts by that order.'),
    correlationid: z.string().optional().describe('What one request led to.'),
    data: z.record(z.string(), z.unknown()).describe('As `dataschema` says.'),
  })
  .meta({ id: 'CloudEvent', description: 'An event (CloudEvents 1.0).' }) satisfies z.ZodType<Told>;

export const EventPage = z
  .object({
    events: z.array(CloudEvent),
    next: z
      .string()
      .nullable()
      .describe(
        'The cursor to go on behind: always given, and new even where the page is empty; null: there was no event yet.',
      ),
    more: z.boolean().describe('Go on at once: there may be more.'),
  })
  .meta({ id: 'EventPage', description: 'Events in the order of the log.' });

export type EventPage = z.output<typeof EventPage>;

const allocated: Told = {
  specversion: '1.0',
  id: '0199f4b3-0a77-7d10-9b3e-6a1f0c2d4e5f',
  source: '/batchwise/product',
  type: 'allocation.allocated.v1',
  subject: 'SMALL-TABLE',
  time: '2026-11-22T10:00:00.123456Z',
  datacontenttype: 'application/json',
  dataschema: 'urn:batchwise:event:allocation.allocated.v1',
  version: 7,
  sequence: '0000000000000007',
  correlationid: 'request-1',
  data: {
    orderId: 'order-1001',
    lineId: '1',
    sku: 'SMALL-TABLE',
    qty: 10,
    batchRef: 'batch-2026-117',
    eta: '2026-12-24',
    priority: 0,
    reason: 'requested',
  },
};

const cursor =
  'eyJzdHJlYW0iOiJwcm9kdWN0OlNNQUxMLVRBQkxFIiwidmVyc2lvbiI6NywiaWQiOiIwMTk5ZjRiMy0wYTc3LTdkMTAtOWIzZS02YTFmMGMyZDRlNWYifQ';

/** Events as they appear in the documentation. */
export const eventExample = {
  allocated,
  page: { events: [allocated], next: cursor, more: false },
  stream: `id: ${cursor}\nevent: ${allocated.type}\ndata: ${JSON.stringify(allocated)}\n\n`,
};

const exampleOf = ({ status, code, message }: HttpError) => problem(status, code, message);

const notOurs = new InvalidCursor();
export const invalidCursor = problem(400, notOurs.code, notOurs.message);
export const cursorGone = exampleOf(new CursorGone());
export const tooManyStreams = exampleOf(new TooManyStreams());
