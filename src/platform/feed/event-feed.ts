import { Injectable } from '@nestjs/common';
import { Database } from '../database/database';
import { type LogPage, readPage } from '../event-log/event-log-reader';
import { RecentEvents } from '../event-log/recent-events';
import type { Position } from '../event-log/stored-event';
import { type Start, startAt } from './event-cursor';
import { LogWatch } from './log-watch';

/** Events of a page, for those who have to catch up. */
const pageSize = 500;

/** The log as others read it: in its order, nothing left out, nothing that could still be preceded by something else. */
@Injectable()
export class EventFeed {
  /** Not that of the relay: whoever is at the end would keep its subscriptions from sharing their way when they catch up. */
  private readonly recent: RecentEvents;

  constructor(
    private readonly database: Database,
    private readonly watch: LogWatch,
  ) {
    this.recent = new RecentEvents(database);
  }

  /** See {@link startAt}. */
  start(after: string | undefined): Promise<Start> {
    return startAt(this.database, after);
  }

  /** See {@link readPage}. */
  read(after: Position, limit: number, types?: readonly string[]): Promise<LogPage> {
    return readPage(this.database, after, limit, types);
  }

  /**
   * The events behind a place, and those that come, until `signal` is aborted. The next page is read when it is asked for; an
   * empty one says that there is nothing new. Those who have caught up share what is read.
   */
  async *follow(after: Position, types: readonly string[] | undefined, signal: AbortSignal): AsyncGenerator<LogPage> {
    let hasCaughtUp = false;
    for (let at = after; !signal.aborted;) {
      const page: LogPage = hasCaughtUp ? await this.readRecent(at, types) : await this.read(at, pageSize, types);
      at = page.last ?? at;
      hasCaughtUp ||= !page.more;
      yield page;
      if (!page.last) await this.watch.next(signal);
    }
  }

  private async readRecent(at: Position, types: readonly string[] | undefined): Promise<LogPage> {
    const recent = await this.recent.after(at);
    const events = types ? recent.filter(({ type }) => types.includes(type)) : recent;
    return { events, last: recent.at(-1), more: recent.length > 0 };
  }
}
