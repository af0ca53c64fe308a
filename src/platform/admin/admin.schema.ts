import { z } from 'zod';
import type { DeadLetter as StoredDeadLetter } from '../event-log/parked-events';
import { CursorText, Limit } from '../http/fields';
import { problem } from '../http/problem';
import type { Standing } from './subscriptions';

const instant = z.iso.datetime();
const count = z.int().min(0);

const Subscriber = z
  .object({
    name: z.string(),
    kind: z
      .enum(['projection', 'publisher', 'reaction', 'unknown'])
      .describe('`unknown`: this version of the service has no such subscriber.'),
    transactionId: z.string().describe('With `position` the place of the last event that it has dealt with.'),
    position: z.string(),
    lagEvents: count.describe('Events behind that place, 100,000 at most.'),
    lagSeconds: z.number().describe('Age of the oldest of them; 0: there are none.'),
    owner: z.string().nullable().describe('The replica that works it; null: nobody does just now.'),
    leaseUntil: instant.nullable().describe('When another replica takes over, unless the lease is renewed before.'),
    parked: count.describe('Events that wait for another attempt, or behind one that does.'),
    dead: count.describe('Dead letters: events that failed for the last time.'),
  })
  .meta({ id: 'Subscriber', description: 'A subscriber of the event log.' }) satisfies z.ZodType<Standing>;

export const SubscriberList = z
  .object({ subscribers: z.array(Subscriber) })
  .meta({ id: 'SubscriberList', description: 'All subscribers of the event log, by name.' });

export type SubscriberList = z.output<typeof SubscriberList>;

export const DeadLetterId = z
  .string()
  .regex(/^[1-9]\d{0,17}$/, 'a number of up to 18 digits is allowed')
  .describe('Names the dead letter.');

export const DeadLetter = z
  .object({
    id: DeadLetterId,
    subscriber: z.string().describe('To whom the event could not be delivered.'),
    stream: z.string().describe('Whose event it is: `product:<sku>`.'),
    version: z.int().describe('The place of the event in its stream.'),
    type: z.string().describe('The wire name and version of the kind of event.'),
    data: z.record(z.string(), z.unknown()).describe('What the event says.'),
    attempts: count.describe('How often it was tried.'),
    error: z.string().describe('What the last attempt failed with.'),
    deadAt: instant.describe('When it failed for the last time.'),
  })
  .meta({ id: 'DeadLetter', description: 'An event that failed for the last time, for one subscriber.' });

export type DeadLetter = z.output<typeof DeadLetter>;

export const DeadLetterListQuery = z.strictObject({
  subscriber: z
    .string()
    .min(1)
    .max(100)
    .regex(/^\P{Cc}*$/u)
    .optional()
    .describe('Only those of this subscriber.'),
  limit: Limit.describe('How many dead letters the page holds at most.'),
  cursor: CursorText.optional().describe('The `next` of the page before.'),
});

export type DeadLetterListQuery = z.output<typeof DeadLetterListQuery>;

/** Where a page of dead letters ended. */
export const PlaceOfDeadLetter = z.strictObject({ id: DeadLetterId });

export const DeadLetterPage = z
  .object({
    deadLetters: z.array(DeadLetter),
    next: CursorText.nullable().describe('The cursor of the next page; null on the last.'),
  })
  .meta({ id: 'DeadLetterPage', description: 'Dead letters, oldest first.' });

export type DeadLetterPage = z.output<typeof DeadLetterPage>;

export const Replay = z
  .object({ id: DeadLetterId, status: z.enum(['pending']) })
  .meta({ id: 'Replay', description: 'An event that will be tried again.' });

export type Replay = z.output<typeof Replay>;

const deadLetter: StoredDeadLetter = {
  id: '17',
  subscriber: 'email-buyers-when-out-of-stock',
  stream: 'product:SMALL-TABLE',
  version: 7,
  type: 'allocation.out-of-stock.v1',
  data: { sku: 'SMALL-TABLE', orderId: 'order-1001', lineId: '1', qty: 10 },
  attempts: 12,
  error: 'email-buyers-when-out-of-stock took longer than 30 s',
  deadAt: '2026-11-22T10:25:00.000Z',
};

/** Subscribers and dead letters as they appear in the documentation. */
export const adminExample = {
  subscribers: {
    subscribers: [
      {
        name: 'email-buyers-when-out-of-stock',
        kind: 'reaction' as const,
        transactionId: '7301',
        position: '90210',
        lagEvents: 0,
        lagSeconds: 0,
        owner: '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47',
        leaseUntil: '2026-11-22T10:30:08.000Z',
        parked: 3,
        dead: 1,
      },
    ],
  },
  deadLetter: { ...deadLetter, data: { ...deadLetter.data } },
  deadLetters: { deadLetters: [{ ...deadLetter, data: { ...deadLetter.data } }], next: null },
  replay: { id: deadLetter.id, status: 'pending' as const },
};

export const unknownDeadLetter = problem(404, 'unknown-dead-letter', `There is no dead letter ${deadLetter.id}.`, {
  id: deadLetter.id,
});

export const invalidCursor = problem(
  400,
  'invalid-cursor',
  'The cursor is not one that this service gave out; start from the first page.',
);
