import { z } from 'zod';

/** What an id, a reference, an order or a SKU may look like; anything else is refused before it reaches the domain. */
export const idPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

const largest = 2_147_483_647;

export const Id = z
  .string()
  .regex(idPattern, '1 to 64 letters, digits and . _ : - are allowed, beginning with a letter or a digit');

/** Units that someone wants: 1 to 2,147,483,647. */
export const Quantity = z.int().min(1).max(largest);

/** Units that are there; none is possible. */
export const StockQuantity = z.int().min(0).max(largest);

/** A day that exists in the calendar, `2026-12-24`, from 1970 on. */
export const IsoDate = z.iso
  .date('a date of the calendar is allowed, written YYYY-MM-DD')
  .refine((date) => date >= '1970', 'a date from 1970-01-01 to 9999-12-31 is allowed');

/** A moment in UTC, `2026-12-24T12:00:00Z`, from 1970 on, to the microsecond at most. */
export const Instant = z.iso
  .datetime('an instant in UTC is allowed, written YYYY-MM-DDTHH:MM:SSZ')
  .max('2026-12-24T12:00:00.000000Z'.length, 'at most microseconds are allowed')
  .refine((instant) => instant >= '1970', 'an instant from 1970-01-01 to 9999-12-31 is allowed');

/** When stock arrives; null: it is in the warehouse. */
export const Eta = IsoDate.nullable();

/** How many entries a page holds at most. */
export const Limit = z.coerce.number().int().min(1).max(200).default(50);

/** Where a page starts: the `next` of the page before. */
export const CursorText = z.string().min(1).max(512);
