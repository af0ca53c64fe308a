import { z } from 'zod';
import type { Queryable } from '../database/database';
import { readEvent, readLast, startOfLog } from '../event-log/event-log-reader';
import type { Position, StoredEvent } from '../event-log/stored-event';
import { decodeCursor, encodeCursor } from '../http/cursor';
import { HttpError } from '../http/problem';

/** The event that a cursor stands behind: it is found again wherever a restore has put it. */
const Bookmark = z.strictObject({ stream: z.string().regex(/^[!-~]{1,200}$/), version: z.int().min(1), id: z.uuid() });

/** The log was restored from a backup that is older than the cursor. */
export class CursorGone extends HttpError {
  constructor() {
    super(
      410,
      'cursor-gone',
      'The event that the cursor stands behind is not in the log: it was restored from an older backup. Begin at an older ' +
        'cursor, or at the first event, and tell what you know already by its id.',
    );
  }
}

/** Where reading begins. */
export interface Start {
  readonly at: Position;
  /** Null: at the first event. */
  readonly cursor: string | null;
}

/** The place behind an event, as an opaque text for the client. */
export const cursorOf = ({ stream, version, id }: StoredEvent): string => encodeCursor({ stream, version, id });

/**
 * Where to begin.
 * @param after a cursor; `end`: behind what there is now; undefined: at the first event
 * @throws InvalidCursor, CursorGone
 */
export async function startAt(database: Queryable, after: string | undefined): Promise<Start> {
  if (after === undefined) return { at: startOfLog, cursor: null };
  if (after === 'end') {
    const last = await readLast(database);
    return { at: last ?? startOfLog, cursor: last ? cursorOf(last) : null };
  }
  const { stream, version, id } = decodeCursor(after, Bookmark);
  const event = await readEvent(database, stream, version);
  if (event?.id !== id) throw new CursorGone();
  return { at: event, cursor: after };
}
