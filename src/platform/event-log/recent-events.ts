import type { Queryable } from '../database/database';
import { isBehind, readAfter } from './event-log-reader';
import type { Position, StoredEvent } from './stored-event';

/** Events of a page at most. */
export const pageSize = 500;
/** Events that are kept, so that readers need not stand at the very same place. */
const keptAtMost = 4 * pageSize;

/**
 * The end of the log as readers that follow one another closely have it: they share what is read.
 *
 * Whatever lies between two places that were read stays as it is: no transaction can come between them any more. So what is
 * kept is handed out freely, and only the database is believed that there is nothing new.
 */
export class RecentEvents {
  /** Everything that follows `from`, up to the last of them. */
  private events: StoredEvent[] = [];
  private from: Position | undefined;
  /** Reads that were asked for and not sent yet, by their places. */
  private readonly unsent = new Map<string, Promise<readonly StoredEvent[]>>();

  constructor(private readonly database: Queryable) {}

  /** Events behind a place that can be delivered, in the order of the log, a page at most; none: there is nothing new. */
  async after(at: Position): Promise<readonly StoredEvent[]> {
    const kept = this.keptAfter(at);
    return kept.length > 0 ? kept : this.read(at);
  }

  private keptAfter(at: Position): readonly StoredEvent[] {
    const last = this.events.at(-1);
    if (!last || !isBehind(at, last) || isBehind(at, this.from!)) return [];
    let [low, high] = [0, this.events.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBehind(at, this.events[middle]!)) high = middle;
      else low = middle + 1;
    }
    return this.events.slice(low, low + pageSize);
  }

  /** Whoever comes before a read is sent may share it: to him too it tells everything that was there when he asked. */
  private read(at: Position): Promise<readonly StoredEvent[]> {
    const place = `${at.transactionId}/${at.position}`;
    const read = this.unsent.get(place) ?? this.send(at, place);
    this.unsent.set(place, read);
    return read;
  }

  private async send(at: Position, place: string): Promise<readonly StoredEvent[]> {
    await new Promise(setImmediate);
    this.unsent.delete(place);
    const page = await readAfter(this.database, at, pageSize);
    this.keep(at, page);
    return page;
  }

  /** Those who are far behind read for themselves: what is kept is the end. */
  private keep(at: Position, page: readonly StoredEvent[]): void {
    if (page.length === 0) return;
    const end = this.events.at(-1);
    if (!end || isBehind(end, at)) {
      this.from = at;
      this.events = [...page];
    } else if (!isBehind(at, end)) {
      this.events.push(...page);
    }
    const gone = this.events.splice(0, Math.max(0, this.events.length - keptAtMost));
    this.from = gone.at(-1) ?? this.from;
  }
}
