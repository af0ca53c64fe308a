import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { DomainError } from '../../kernel/domain-error';
import { parsed, wholeNumber } from '../../platform/cli/arguments';
import { CliCommand, type Progress, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { endOfLog, eventsOf } from '../../platform/cli/events-of';
import { Database } from '../../platform/database/database';
import { idPattern } from '../../platform/http/fields';
import { inOrder } from '../../platform/in-order';
import { inContext } from '../../platform/request-context';
import {
  Allocate,
  type Allocation,
  AllocateOrder,
  AmendLine,
  type BatchChange,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  type BatchCreation,
  type OrderAllocation,
  type Release,
} from '../contract/commands';
import type { LineStatus } from '../contract/order-lines';
import { type DayCommand, ShopDay } from './shop-day';

/** By Ctrl-C, as shells tell it. */
const interrupted = 130;

/** What became of the day so far, in commands, orders and lines. */
class Tally {
  commands = 0;
  refusedCommands = 0;
  orders = 0;
  readonly lines: Record<LineStatus, number> = { promised: 0, backordered: 0, refused: 0 };
  promisedAgain = 0;
  served = 0;
  shortfall = 0;

  add(command: DayCommand, answer: unknown): void {
    this.commands += 1;
    if (command instanceof Allocate) this.addLines([answer as Allocation]);
    else if (command instanceof AllocateOrder) this.addLines((answer as OrderAllocation).lines);
    else if (command instanceof AmendLine) this.promisedAgain += (answer as Allocation).status === 'promised' ? 1 : 0;
    else if (command instanceof CreateBatch) this.served += (answer as BatchCreation).promised.length;
    else if (command instanceof ChangeBatch || command instanceof CancelBatch) {
      const { reallocated, promised, shortfall } = answer as BatchChange;
      this.promisedAgain += reallocated.length;
      this.served += promised.length;
      this.shortfall += shortfall.length;
    } else this.served += (answer as Release).promised.length;
  }

  /** Nothing happened, and the answer says why. */
  refuse(command: DayCommand): void {
    this.commands += 1;
    this.refusedCommands += 1;
    if (!(command instanceof AllocateOrder)) return;
    this.orders += 1;
    this.lines.refused += command.lines.length;
  }

  private addLines(lines: readonly Allocation[]): void {
    this.orders += 1;
    for (const { status } of lines) this.lines[status] += 1;
  }
}

/** Has no relay: what it did is delivered by the servers that run beside it, or by the next one that starts. */
@Injectable()
export class DemoCommand extends CliCommand {
  readonly name = 'demo';
  readonly usage = '[--seed <number>] [--orders <number>] [--skus <number>] [--prefix <text>]';
  readonly summary = 'Plays a day of a shop: orders, shipments, delays, stocktakes, a recall. Adds to what is stored.';

  constructor(
    private readonly commands: CommandBus,
    private readonly database: Database,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { values } = parsed(args, {
      seed: { type: 'string' },
      orders: { type: 'string' },
      skus: { type: 'string' },
      prefix: { type: 'string' },
    });
    const seed = wholeNumber('--seed', values.seed, 0, 2 ** 32 - 1) ?? 1;
    const orders = wholeNumber('--orders', values.orders, 1, 10_000_000) ?? 3_000;
    const skus = wholeNumber('--skus', values.skus, 1, 1_000_000) ?? 400;
    const started = new Date();
    const prefix = values.prefix ?? `demo${seed}-${started.getTime().toString(36)}`;
    if (!idPattern.test(prefix) || prefix.length > 40)
      throw new UsageError('--prefix takes 1 to 40 letters, digits and . _ : - , beginning with a letter or a digit.');

    const day = new ShopDay({ seed, orders, skus, prefix, today: started });
    terminal.note(`A day with ${orders} orders over ${skus} SKUs, seed ${seed}; every id begins with ${prefix}.`);
    const stop = new AbortController();
    const onInterrupt = (): void => stop.abort();
    process.once('SIGINT', onInterrupt);
    const progress = terminal.progress('demo', day.size);
    const tally = new Tally();
    const before = await endOfLog(this.database);
    try {
      await inContext({ actor: 'demo', correlationId: prefix, causationId: null }, async () => {
        await this.play(day.morning(), day.atOnce, { tally, progress, stop: stop.signal });
        await this.play(day.day(), day.atOnce, { tally, progress, stop: stop.signal });
      });
    } finally {
      progress.end();
      process.off('SIGINT', onInterrupt);
    }
    const seconds = (Date.now() - started.getTime()) / 1000;
    for (const line of summary(tally, await eventsOf(this.database, prefix, before), seconds)) terminal.out(line);
    if (!stop.signal.aborted) return 0;
    terminal.note('Interrupted: everything that was done until then is kept.');
    return interrupted;
  }

  private async play(
    commands: Iterable<DayCommand>,
    atOnce: number,
    { tally, progress, stop }: { readonly tally: Tally; readonly progress: Progress; readonly stop: AbortSignal },
  ): Promise<void> {
    const answers = inOrder(until(stop, commands), atOnce, async (command) => {
      try {
        tally.add(command, await this.commands.execute(command));
      } catch (error) {
        if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
        tally.refuse(command);
      }
    });
    while (!(await answers.next()).done) progress.update(tally.commands);
  }
}

function* until<T>(stop: AbortSignal, items: Iterable<T>): Generator<T> {
  for (const item of items) {
    if (stop.aborted) return;
    yield item;
  }
}

function summary(tally: Tally, events: number, seconds: number): string[] {
  const { promised, backordered, refused } = tally.lines;
  return [
    `orders              ${tally.orders}`,
    `lines               ${promised + backordered + refused}`,
    `  promised          ${promised}`,
    `  backordered       ${backordered}`,
    `  refused           ${refused}`,
    `afterwards`,
    `  promised again    ${tally.promisedAgain}  (from another batch, or with another quantity)`,
    `  served            ${tally.served}  (had been waiting)`,
    `  back in the queue ${tally.shortfall}  (their batch failed them, and nothing else fitted)`,
    `commands            ${tally.commands}, of which ${tally.refusedCommands} were refused`,
    `events              ${events}`,
    `seconds             ${seconds.toFixed(1)}: ${Math.round(tally.commands / seconds)} commands and ${Math.round(
      (promised + backordered + refused) / seconds,
    )} lines per second`,
  ];
}
