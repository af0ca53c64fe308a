import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { DomainError } from '../../kernel/domain-error';
import {
  Allocate,
  AllocateOrder,
  AmendLine,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseLine,
  ReleaseOrder,
} from '../contract/commands';
import { type Change, type ChangeResult, type Plan, PlanChanges, type PlannedOutcome } from '../contract/queries';
import { AllocationPolicies } from '../domain/allocation-policies';
import { Product } from '../domain/product';
import { ProductDryRun, type ProductUnitOfWork } from '../domain/product-unit-of-work';
import { AllocateOrderHandler } from './allocate-order.handler';
import { AllocateHandler } from './allocate.handler';
import { AmendLineHandler } from './amend-line.handler';
import { CancelBatchHandler } from './cancel-batch.handler';
import { ChangeBatchHandler } from './change-batch.handler';
import { CreateBatchHandler } from './create-batch.handler';
import { PlanUnitOfWork } from './plan-unit-of-work';
import { ReleaseLineHandler } from './release-line.handler';
import { ReleaseOrderHandler } from './release-order.handler';

type ChangeHandler = new (unitOfWork: ProductUnitOfWork) => { execute(change: never): Promise<ChangeResult> };

const handlers = new Map<unknown, ChangeHandler>([
  [Allocate, AllocateHandler],
  [AllocateOrder, AllocateOrderHandler],
  [AmendLine, AmendLineHandler],
  [CancelBatch, CancelBatchHandler],
  [ChangeBatch, ChangeBatchHandler],
  [CreateBatch, CreateBatchHandler],
  [ReleaseLine, ReleaseLineHandler],
  [ReleaseOrder, ReleaseOrderHandler],
]);

/** A plan is its commands, sent to the handlers that would carry them out - over a unit of work that stores nothing. */
@QueryHandler(PlanChanges)
export class PlanChangesHandler implements IQueryHandler<PlanChanges> {
  constructor(
    private readonly dryRun: ProductDryRun,
    private readonly policies: AllocationPolicies,
  ) {}

  async execute({ changes, options }: PlanChanges): Promise<Plan> {
    const policy = this.policies.named(options.policy);
    const maxLines = Math.min(options.maxLines ?? Infinity, Product.maxLinesMovedAtOnce);
    return this.dryRun.preview(async (dryRun) => {
      const unitOfWork = new PlanUnitOfWork(dryRun, policy);
      const outcomes = await Promise.all(changes.map((change) => outcomeOf(handle(change, unitOfWork))));
      return { policy: policy.name, outcomes, lines: await unitOfWork.differences(maxLines) };
    });
  }
}

function handle(change: Change, unitOfWork: ProductUnitOfWork): Promise<ChangeResult> {
  const Handler = handlers.get(change.constructor)!;
  return new Handler(unitOfWork).execute(change as never);
}

/** @throws what has nothing to do with the change */
async function outcomeOf(answer: Promise<ChangeResult>): Promise<PlannedOutcome> {
  try {
    return { result: await answer, problem: null };
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
    const { code, message, details } = error;
    return { result: null, problem: { code, message, details } };
  }
}
