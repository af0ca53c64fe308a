import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { badBody, Endpoint, json, overloaded } from '../../platform/http/endpoint';
import { ExplainAllocation, type Plan as PlanAnswer, PlanChanges } from '../contract/queries';
import { AllocationRequest } from './allocations.schema';
import { Explanation, explanationExample } from './explanations.schema';
import { lineAlreadyAllocated, unknownSku } from './line.schema';
import {
  commandOf,
  mostDifferences,
  Plan,
  planExample,
  PlanRequest,
  planTooLarge,
  told,
  unknownPolicy,
} from './plans.schema';

/** What would happen if: decided by the same code, from the same stock, and never stored. */
@ApiTags('Plans')
@Controller('v1')
export class PlansController {
  constructor(private readonly queries: QueryBus) {}

  @Post('allocations/explain')
  @HttpCode(200)
  @Endpoint('explainAllocation', {
    summary: 'Explain how an order line would be allocated',
    description:
      'Takes what `POST /v1/allocations` takes, and tells what it would answer now and why: the batches in order of ' +
      'preference, and why each was chosen or passed over. Nothing changes.',
    scope: 'stock:read',
    answers: { 200: json('What would happen, and why.', Explanation, explanationExample) },
    problems: [...badBody, unknownSku, lineAlreadyAllocated, overloaded],
  })
  explain(@Body({ schema: AllocationRequest }) body: AllocationRequest): Promise<Explanation> {
    const { whenOutOfStock, priority, ...line } = body;
    return this.queries.execute<ExplainAllocation, Explanation>(
      new ExplainAllocation(line, { whenOutOfStock, priority }),
    );
  }

  @Post('plans')
  @HttpCode(200)
  @Endpoint('plan', {
    summary: 'Try changes without making them',
    description:
      'Tries changes one after another on the stock and the promises of this moment, and tells what would become of each and ' +
      'which order lines would stand otherwise in the end. Nothing changes. With another `policy` these changes are decided by ' +
      'it; promises that they do not touch stay where they are.',
    scope: 'stock:read',
    answers: { 200: json('What would happen.', Plan, planExample) },
    problems: [...badBody, unknownPolicy, planTooLarge, overloaded],
  })
  async plan(@Body({ schema: PlanRequest }) request: PlanRequest): Promise<Plan> {
    const plan = await this.queries.execute<PlanChanges, PlanAnswer>(
      new PlanChanges(request.changes.map(commandOf), { policy: request.policy, maxLines: mostDifferences }),
    );
    return told(plan, request);
  }
}
