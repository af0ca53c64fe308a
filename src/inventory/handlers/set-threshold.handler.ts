import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { SetThreshold } from '../contract/commands';
import type { ThresholdState } from '../contract/queries';
import { ThresholdUnitOfWork } from '../domain/threshold';

@CommandHandler(SetThreshold)
export class SetThresholdHandler implements ICommandHandler<SetThreshold> {
  constructor(private readonly unitOfWork: ThresholdUnitOfWork) {}

  execute({ pattern, reorderPoint, clearAt }: SetThreshold): Promise<ThresholdState> {
    return this.unitOfWork.run([pattern], (thresholds) => thresholds.get(pattern).set(reorderPoint, clearAt));
  }
}
