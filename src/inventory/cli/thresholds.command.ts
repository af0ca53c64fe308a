import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { parsed, wholeNumber } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import { RemoveThreshold, SetThreshold } from '../contract/commands';
import { ListThresholds, type ThresholdState } from '../contract/queries';
import { SkuPattern } from '../http/thresholds.schema';

const pageSize = 200;
const most = 2_147_483_647;

@Injectable()
export class ThresholdsCommand extends CliCommand {
  readonly name = 'thresholds';
  readonly usage = 'list | set <sku or pattern> <reorder point> [--clear-at <units>] | remove <sku or pattern>';
  readonly summary = 'Lists when stock is low, and sets or removes it: `set "TABLE-*" 20`.';

  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { positionals, values } = parsed(args, { 'clear-at': { type: 'string' } }, [1, 3]);
    const [action, pattern, units] = positionals;
    const clearAt = wholeNumber('--clear-at', values['clear-at'], 1, Number.MAX_SAFE_INTEGER);
    if (clearAt !== undefined && action !== 'set') throw new UsageError('--clear-at is for set.');
    if (action === 'list' && pattern === undefined) return this.list(terminal);
    if (pattern !== undefined && !SkuPattern.safeParse(pattern).success)
      throw new UsageError(`${JSON.stringify(pattern)} is neither a SKU nor a pattern of SKUs.`);
    if (action === 'set' && pattern !== undefined && units !== undefined)
      return this.set(pattern, wholeNumber('The reorder point', units, 0, most)!, clearAt, terminal);
    if (action === 'remove' && pattern !== undefined && units === undefined) return this.remove(pattern, terminal);
    throw new UsageError('This is not how it is meant.');
  }

  private async list(terminal: Terminal): Promise<number> {
    const rows: (string | number)[][] = [['sku or pattern', 'low at', 'recovered at']];
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: ThresholdState[] = await this.queries.execute<ListThresholds, ThresholdState[]>(
        new ListThresholds(pageSize, after),
      );
      rows.push(...page.map(({ pattern, reorderPoint, clearAt }) => [pattern, reorderPoint, clearAt]));
      after = page.length < pageSize ? undefined : page.at(-1)!.pattern;
    }
    if (rows.length === 1) terminal.out('There are no thresholds.');
    else for (const line of table(rows)) terminal.out(line);
    return 0;
  }

  private async set(
    pattern: string,
    reorderPoint: number,
    clearAt: number | undefined,
    terminal: Terminal,
  ): Promise<number> {
    const set = await this.commands.execute<SetThreshold, ThresholdState>(
      new SetThreshold(pattern, reorderPoint, clearAt),
    );
    terminal.out(`Stock of ${pattern} is low at ${set.reorderPoint} units, and has recovered at ${set.clearAt}.`);
    return 0;
  }

  private async remove(pattern: string, terminal: Terminal): Promise<number> {
    await this.commands.execute<RemoveThreshold, ThresholdState>(new RemoveThreshold(pattern));
    terminal.out(`${pattern} has no threshold of its own any more.`);
    return 0;
  }
}
