import { z } from 'zod';
import { DomainError } from '../../kernel/domain-error';

/** The cursor of a page was not made by this service. */
export class InvalidCursor extends DomainError {
  constructor() {
    super('invalid-cursor', 'invalid', 'The cursor is not one that this service gave out; start from the first page.');
  }
}

/** A place in a list as an opaque text for the client. */
export const encodeCursor = (place: object): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/**
 * The place that a cursor stands for.
 *
 * @throws InvalidCursor unless it is exactly what {@link encodeCursor} makes of something that `schema` allows
 */
export function decodeCursor<Schema extends z.ZodType<object>>(cursor: string, schema: Schema): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw new InvalidCursor();
  }
  const place = schema.safeParse(value);
  if (!place.success || encodeCursor(place.data) !== cursor) throw new InvalidCursor();
  return place.data;
}
