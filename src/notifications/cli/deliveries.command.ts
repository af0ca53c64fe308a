import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { DomainError } from '../../kernel/domain-error';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import { Redeliver } from '../contract/commands';
import { type Delivery, ListDeliveries } from '../contract/queries';
import { DeliveryId } from '../http/webhooks.schema';

const pageSize = 100;
const statuses = ['dead', 'pending'];

@Injectable()
export class DeliveriesCommand extends CliCommand {
  readonly name = 'deliveries';
  readonly usage = 'list [--status dead|pending] | redeliver <id>…';
  readonly summary = 'Lists mails and webhook deliveries that were given up, or wait; has them sent again.';

  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { positionals, values } = parsed(args, { status: { type: 'string' } }, [1, Infinity]);
    const [action, ...ids] = positionals;
    const { status = 'dead' } = values;
    if (!statuses.includes(status))
      throw new UsageError(`--status is ${JSON.stringify(status)}; allowed: ${statuses.join(', ')}.`);
    if (action === 'list' && ids.length === 0) return this.list(status, terminal);
    if (action !== 'redeliver' || ids.length === 0) throw new UsageError('This is not how it is meant.');
    const wrong = ids.find((id) => !DeliveryId.safeParse(id).success);
    if (wrong !== undefined) throw new UsageError(`${JSON.stringify(wrong)} is no id of a delivery.`);
    return this.redeliver(ids, terminal);
  }

  private async list(status: string, terminal: Terminal): Promise<number> {
    const rows: string[][] = [['id', 'channel', 'to', 'about', 'attempts', 'since', 'error']];
    for (let page: Delivery[], after: string | undefined; ; after = page.at(-1)!.id) {
      page = await this.queries.execute<ListDeliveries, Delivery[]>(new ListDeliveries(status, pageSize, after));
      for (const { id, channel, to, about, attempts, createdAt, error } of page)
        rows.push([id, channel, to, about, `${attempts}`, createdAt, (error ?? '').slice(0, 80)]);
      if (page.length < pageSize) break;
    }
    if (rows.length === 1) terminal.out(`There are no ${status} deliveries.`);
    else for (const line of table(rows)) terminal.out(line);
    return 0;
  }

  private async redeliver(ids: readonly string[], terminal: Terminal): Promise<number> {
    let status = 0;
    for (const id of ids) {
      try {
        await this.commands.execute(new Redeliver(id));
        terminal.out(`${id} will be sent again.`);
      } catch (error) {
        if (!(error instanceof DomainError) || error.kind !== 'not-found') throw error;
        terminal.note(error.message);
        status = 1;
      }
    }
    return status;
  }
}
