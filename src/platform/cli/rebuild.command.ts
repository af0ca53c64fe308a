import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Database } from '../database/database';
import { rebuild, RebuildFailed } from '../event-log/rebuild';
import { Projection } from '../event-log/subscriber';
import { parsed } from './arguments';
import { providersOf } from '../providers';
import { CliCommand, type Terminal, UsageError } from './cli-command';

@Injectable()
export class RebuildCommand extends CliCommand {
  readonly name = 'rebuild';
  readonly usage = '<projection> | --all';
  readonly summary = 'Fills a read model anew from the event log, beside the one in use, and puts it in its place.';

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly database: Database,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parsed(args, { all: { type: 'boolean' } }, [0, 1]);
    const [name] = positionals;
    if ((name === undefined) !== (values.all === true)) throw new UsageError('Name one projection, or --all of them.');
    const projections = this.projections();
    if (projections.length === 0) {
      terminal.note('There are no projections yet.');
      return name === undefined ? 0 : 1;
    }
    const chosen = projections.filter((projection) => values.all || projection.name === name);
    if (chosen.length === 0) {
      terminal.note(`There is no projection ${name}; there are ${projections.map((one) => one.name).join(', ')}.`);
      return 1;
    }
    let status = 0;
    for (const projection of chosen) status = Math.max(status, await this.rebuild(projection, terminal));
    return status;
  }

  private async rebuild(projection: Projection, terminal: Terminal): Promise<number> {
    const progress = terminal.progress(projection.name, 1);
    let read = 0;
    try {
      await rebuild(this.database, projection, ({ events, total }) => {
        read = events;
        progress.update(events, total);
      });
    } catch (error) {
      if (!(error instanceof RebuildFailed)) throw error;
      progress.end();
      terminal.note(error.message);
      return 1;
    }
    progress.end();
    terminal.out(`${projection.name}: rebuilt from ${read} events.`);
    return 0;
  }

  private projections(): Projection[] {
    return providersOf(this.discovery, Projection);
  }
}
