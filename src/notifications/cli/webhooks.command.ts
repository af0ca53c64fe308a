import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { DomainError } from '../../kernel/domain-error';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import { RegisterWebhook, RemoveWebhook, RotateWebhookSecret, type WebhookWithSecret } from '../contract/commands';
import { ListWebhooks, type Webhook, type WebhookPage } from '../contract/queries';
import { WebhookId, WebhookRequest } from '../http/webhooks.schema';

const pageSize = 100;

@Injectable()
export class WebhooksCommand extends CliCommand {
  readonly name = 'webhooks';
  readonly usage = 'list | add <url> [--types <type>,…] [--description <text>] | remove <id> | rotate <id>';
  readonly summary = 'Shows, adds and removes endpoints that are told of events, and gives them new secrets.';

  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { types: { type: 'string' }, description: { type: 'string' } } as const;
    const { positionals, values } = parsed(args, options, [1, 2]);
    const [action, operand] = positionals;
    if (action === 'list' && operand === undefined) return this.list(terminal);
    if (operand === undefined) throw new UsageError('This is not how it is meant.');
    try {
      if (action === 'add') return await this.add({ url: operand, ...values }, terminal);
      if (action !== 'remove' && action !== 'rotate') throw new UsageError('This is not how it is meant.');
      if (!WebhookId.safeParse(operand).success)
        throw new UsageError(`${JSON.stringify(operand)} is no id of a webhook.`);
      return await (action === 'remove' ? this.remove(operand, terminal) : this.rotate(operand, terminal));
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
      terminal.note(error.message);
      return 1;
    }
  }

  private async list(terminal: Terminal): Promise<number> {
    const rows = [['id', 'url', 'events', 'state', 'description']];
    for (let after: string | undefined, more = true; more;) {
      const page = await this.queries.execute<ListWebhooks, WebhookPage>(new ListWebhooks(pageSize, after));
      rows.push(...page.webhooks.map(rowOf));
      after = page.next ?? undefined;
      more = page.next !== null;
    }
    if (rows.length === 1) terminal.out('There are no webhooks.');
    else for (const line of table(rows)) terminal.out(line);
    return 0;
  }

  private async add(
    { url, types, description }: { url: string; types?: string | undefined; description?: string | undefined },
    terminal: Terminal,
  ): Promise<number> {
    const eventTypes = types === undefined ? 'all' : types.split(',');
    const request = WebhookRequest.safeParse({ url, eventTypes, description });
    if (!request.success) throw new UsageError(request.error.issues.map(({ message }) => message).join('; '));
    const { data } = request;
    const command = new RegisterWebhook(data.url, data.eventTypes, data.description);
    return this.tellSecret(await this.commands.execute<RegisterWebhook, WebhookWithSecret>(command), terminal);
  }

  private async remove(id: string, terminal: Terminal): Promise<number> {
    await this.commands.execute(new RemoveWebhook(id));
    terminal.out(`${id} is removed.`);
    return 0;
  }

  private async rotate(id: string, terminal: Terminal): Promise<number> {
    const command = new RotateWebhookSecret(id);
    return this.tellSecret(await this.commands.execute<RotateWebhookSecret, WebhookWithSecret>(command), terminal);
  }

  /** The secret alone is on standard output, so that it can be piped to where it is kept. */
  private tellSecret({ webhook, secret }: WebhookWithSecret, terminal: Terminal): number {
    terminal.note(`Webhook ${webhook.id}; its secret is shown this once:`);
    terminal.out(secret!);
    return 0;
  }
}

const rowOf = ({ id, url, eventTypes, enabled, disabledBecause, circuit, description }: Webhook): string[] => {
  const state = enabled ? (circuit === 'closed' ? 'enabled' : `circuit ${circuit}`) : 'disabled';
  const types = eventTypes === 'all' ? 'all' : eventTypes.join(',');
  return [id, url, types, disabledBecause === null ? state : `${state}: ${disabledBecause}`, description];
};
