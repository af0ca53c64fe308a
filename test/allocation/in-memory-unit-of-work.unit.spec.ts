import { InMemoryProductUnitOfWork } from '../support/in-memory-product-unit-of-work';
import { describeProductUnitOfWork, type StartedUnitOfWork } from '../support/product-unit-of-work.suite';

const start = async (worksPerGroup: number): Promise<StartedUnitOfWork> => {
  const unitOfWork = new InMemoryProductUnitOfWork(worksPerGroup);
  return {
    unitOfWork,
    dryRun: unitOfWork,
    lines: async (orderId) => unitOfWork.linesOf(orderId),
    events: async (sku) => unitOfWork.eventsOf(sku),
    stop: async () => undefined,
  };
};

describeProductUnitOfWork('in memory, storing after every work', () => start(1));
describeProductUnitOfWork('in memory, storing after four works that share what they load', () => start(4));
describeProductUnitOfWork('in memory, storing when someone looks', () => start(Infinity));
