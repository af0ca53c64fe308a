import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { parsed, wholeNumber } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import { IsoDate } from '../../platform/http/fields';
import { type Availability, GetAvailability } from '../contract/queries';

@Injectable()
export class AvailabilityCommand extends CliCommand {
  readonly name = 'availability';
  readonly usage = '<sku> [--qty <number>] [--from <date>] [--to <date>]';
  readonly summary = 'Shows what will be free of a SKU, from which batch and day, and when a line can be had.';

  constructor(private readonly queries: QueryBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { qty: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' } } as const;
    const { values, positionals } = parsed(args, options, [1, 1]);
    const [sku] = positionals as [string];
    const range = { from: date('--from', values.from), to: date('--to', values.to) };
    const query = new GetAvailability(sku, range, wholeNumber('--qty', values.qty, 1, 2_147_483_647));
    const availability = await this.queries.execute<GetAvailability, Availability | null>(query);
    if (availability) show(availability, terminal);
    else terminal.note(`Nothing is known of ${sku}.`);
    return availability ? 0 : 1;
  }
}

/** A row for each day on which something changes. */
function show({ from, to, days, free, earliest }: Availability, terminal: Terminal): void {
  const changes = days.filter(({ date }, place) => place === 0 || free.some((units) => units.countedFrom === date));
  const lines = changes.map(({ date, available, largestLine }) => {
    const batches = free.filter(({ countedFrom }) => countedFrom === date || (date === from && countedFrom < from));
    const texts = batches.map(({ batchRef, units, late }) => `${units} of ${batchRef}${late ? ' (late)' : ''}`);
    return [date, available, largestLine, texts.join(', ')];
  });
  for (const line of table([['from', 'available', 'largest line', 'new'], ...lines])) terminal.out(line);
  const { qty, date, batchRef } = earliest;
  terminal.out(`Until ${to}. A line of ${qty}: ${date === null ? 'cannot be promised' : `${date}, of ${batchRef}`}.`);
}

/** @throws UsageError */
function date(option: string, text: string | undefined): string | undefined {
  if (text === undefined || IsoDate.safeParse(text).success) return text;
  throw new UsageError(`${option} is ${JSON.stringify(text)}; a date of the calendar is allowed, written YYYY-MM-DD.`);
}
