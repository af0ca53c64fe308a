import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { RemoveThreshold } from '../contract/commands';
import type { ThresholdState } from '../contract/queries';
import { ThresholdUnitOfWork } from '../domain/threshold';

@CommandHandler(RemoveThreshold)
export class RemoveThresholdHandler implements ICommandHandler<RemoveThreshold> {
  constructor(private readonly unitOfWork: ThresholdUnitOfWork) {}

  execute({ pattern }: RemoveThreshold): Promise<ThresholdState> {
    return this.unitOfWork.run([pattern], (thresholds) => thresholds.get(pattern).remove());
  }
}
