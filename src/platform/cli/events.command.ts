import { Injectable } from '@nestjs/common';
import { toCloudEvent } from '../event-log/cloud-event';
import type { LogPage } from '../event-log/event-log-reader';
import type { Position } from '../event-log/stored-event';
import { EventCatalogue } from '../feed/event-catalogue';
import { cursorOf } from '../feed/event-cursor';
import { EventFeed } from '../feed/event-feed';
import { parsed } from './arguments';
import { CliCommand, type Terminal, UsageError } from './cli-command';

const pageSize = 1_000;
const interruptions = ['SIGINT', 'SIGTERM'] as const;

@Injectable()
export class EventsCommand extends CliCommand {
  readonly name = 'events';
  readonly usage = '[--after <cursor> | --after end] [--types <type>,…] [--follow]';
  readonly summary = 'Prints events as CloudEvents, one a line, and on standard error the cursor to go on behind.';

  constructor(
    private readonly feed: EventFeed,
    private readonly catalogue: EventCatalogue,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { values } = parsed(args, {
      after: { type: 'string' },
      types: { type: 'string' },
      follow: { type: 'boolean', default: false },
    });
    const types = this.known(values.types);
    const { at, cursor } = await this.feed.start(values.after);
    let next = cursor;
    for await (const { events, last } of values.follow ? this.follow(at, types) : this.all(at, types)) {
      for (const event of events) terminal.out(JSON.stringify(toCloudEvent(event)));
      if (last) next = cursorOf(last);
    }
    if (next !== null) terminal.note(`Go on with --after ${next}`);
    return 0;
  }

  private async *all(after: Position, types: string[] | undefined): AsyncGenerator<LogPage> {
    for (let at = after, more = true; more;) {
      const page = await this.feed.read(at, pageSize, types);
      yield page;
      at = page.last ?? at;
      more = page.more;
    }
  }

  /** Until somebody interrupts it. */
  private async *follow(after: Position, types: string[] | undefined): AsyncGenerator<LogPage> {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    for (const signal of interruptions) process.once(signal, end);
    try {
      yield* this.feed.follow(after, types, ending.signal);
    } finally {
      for (const signal of interruptions) process.off(signal, end);
    }
  }

  /** @throws UsageError */
  private known(types: string | undefined): string[] | undefined {
    const wanted = types?.split(',');
    const [unknown] = this.catalogue.unknownOf(wanted ?? []);
    if (unknown === undefined) return wanted;
    const all = this.catalogue.types.join(', ');
    throw new UsageError(`There are no events of the type ${JSON.stringify(unknown)}; there are ${all}.`);
  }
}
