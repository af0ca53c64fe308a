import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { z } from 'zod';
import { DomainError } from '../../kernel/domain-error';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { table } from '../../platform/cli/terminal';
import { ExplainAllocation, type Explanation } from '../contract/queries';
import { AllocationRequest } from '../http/allocations.schema';
import { standing } from './standing';

const options = {
  line: { type: 'string' },
  priority: { type: 'string' },
  backorder: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

@Injectable()
export class ExplainCommand extends CliCommand {
  readonly name = 'explain';
  readonly usage = '<orderId> <sku> <qty> [--line <lineId>] [--priority <n>] [--backorder] [--json]';
  readonly summary = 'Explains from which batch an order line would be promised now, and why. Changes nothing.';

  constructor(private readonly queries: QueryBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parsed(args, options, [3, 3]);
    const [orderId, sku, qty] = positionals;
    const request = AllocationRequest.safeParse({
      orderId,
      lineId: values.line,
      sku,
      qty: Number(qty),
      priority: values.priority === undefined ? undefined : Number(values.priority),
      whenOutOfStock: values.backorder ? 'backorder' : undefined,
    });
    if (!request.success) throw new UsageError(z.prettifyError(request.error));
    const { whenOutOfStock, priority, ...line } = request.data;
    try {
      const explanation = await this.queries.execute<ExplainAllocation, Explanation>(
        new ExplainAllocation(line, { whenOutOfStock, priority }),
      );
      for (const text of values.json ? [JSON.stringify(explanation, null, 2)] : told(explanation)) terminal.out(text);
      return 0;
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
      terminal.note(error.message);
      return 1;
    }
  }
}

function told({ allocation, policy, message, candidates }: Explanation): string[] {
  const { orderId, lineId, qty, sku } = allocation;
  return [
    `Line ${lineId} of order ${orderId}, ${qty} of ${sku}: ${standing(allocation)}.`,
    `${message} (policy ${policy})`,
    ...(candidates.length === 0
      ? []
      : [
          '',
          ...table([
            ['batch', 'eta', 'available', ''],
            ...candidates.map(({ batchRef, eta, available, passedOver }) => [
              batchRef,
              eta ?? 'warehouse',
              available,
              passedOver?.message ?? 'chosen',
            ]),
          ]),
        ]),
  ];
}
