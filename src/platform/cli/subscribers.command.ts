import { Injectable } from '@nestjs/common';
import { Subscriptions } from '../admin/subscriptions';
import { parsed } from './arguments';
import { CliCommand, type Terminal } from './cli-command';
import { table } from './terminal';

@Injectable()
export class SubscribersCommand extends CliCommand {
  readonly name = 'subscribers';
  readonly usage = '';
  readonly summary = 'Shows who reads the event log, how far behind they are, and what they could not digest.';

  constructor(private readonly subscriptions: Subscriptions) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    parsed(args, {});
    const header = ['subscriber', 'kind', 'position', 'behind', 'seconds', 'parked', 'dead', 'worked by'];
    const lines = (await this.subscriptions.standings()).map((one) => {
      const { name, kind, position, lagEvents, lagSeconds, parked, dead, owner } = one;
      return [name, kind, position, `${lagEvents}`, lagSeconds.toFixed(1), `${parked}`, `${dead}`, owner ?? 'nobody'];
    });
    for (const line of table([header, ...lines])) terminal.out(line);
    return 0;
  }
}
