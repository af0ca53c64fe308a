import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { z } from 'zod';
import { DomainError } from '../../kernel/domain-error';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import type { LineState } from '../contract/order-lines';
import { type Plan as PlanAnswer, PlanChanges } from '../contract/queries';
import { commandOf, type Plan, PlanRequest, told } from '../http/plans.schema';
import { standing } from './standing';

/** The file cannot be read, or is no plan. */
class NoPlan extends Error {}

@Injectable()
export class PlanCommand extends CliCommand {
  readonly name = 'plan';
  readonly usage = '<file.json | -> [--policy <name>] [--json]';
  readonly summary = 'Tells what the changes of a file would do, one after another. Changes nothing.';

  constructor(private readonly queries: QueryBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { policy: { type: 'string' }, json: { type: 'boolean' } } as const;
    const { values, positionals } = parsed(args, options, [1, 1]);
    try {
      const request = await read(positionals[0]!);
      const policy = values.policy ?? request.policy;
      const answer = await this.queries.execute<PlanChanges, PlanAnswer>(
        new PlanChanges(request.changes.map(commandOf), { policy }),
      );
      const plan = told(answer, request);
      for (const line of values.json ? [JSON.stringify(plan, null, 2)] : readable(plan)) terminal.out(line);
      return 0;
    } catch (error) {
      const expected = error instanceof NoPlan || (error instanceof DomainError && error.kind !== 'unavailable');
      if (!expected) throw error;
      terminal.note(error.message);
      return 1;
    }
  }
}

/** @throws NoPlan */
async function read(file: string): Promise<PlanRequest> {
  try {
    const content: unknown = JSON.parse(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'));
    return PlanRequest.parse(content);
  } catch (error) {
    const reason = error instanceof z.ZodError ? `it is no plan:\n${z.prettifyError(error)}` : (error as Error).message;
    throw new NoPlan(`${file} cannot be read: ${reason}`);
  }
}

function readable({ policy, outcomes, lines }: Plan): string[] {
  const changes = outcomes.map(({ number, type, result, problem }) => [
    number,
    type,
    problem ? `refused: ${problem.detail}` : 'status' in result! ? standing(result as unknown as LineState) : 'done',
  ]);
  const moves = lines.map(({ orderId, lineId, sku, before, after }) => [
    orderId,
    lineId,
    sku,
    (after ?? before)!.qty,
    standing(before),
    after === null ? 'released' : standing(after),
  ]);
  return [
    `Policy: ${policy}`,
    '',
    ...table(changes),
    '',
    `${lines.length} order lines would stand otherwise.`,
    ...(lines.length === 0 ? [] : table([['order', 'line', 'sku', 'qty', 'now', 'then'], ...moves])),
  ];
}
