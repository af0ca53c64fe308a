import { Injectable } from '@nestjs/common';
import { Config } from '../config';
import { Database } from '../database/database';
import { LogSignal } from '../event-log/log-signal';
import { GroupingMetrics } from '../metrics/grouping-metrics';
import type { AggregateStore } from './aggregate-store';
import { GroupingUnitOfWork } from './grouping-unit-of-work';

/** Makes a module's unit of work from its aggregate store, as the service is configured. */
@Injectable()
export class UnitOfWorkFactory {
  constructor(
    private readonly database: Database,
    private readonly config: Config,
    private readonly metrics: GroupingMetrics,
    private readonly log: LogSignal,
  ) {}

  grouping<Needs, Repository>(store: AggregateStore<Needs, Repository>): GroupingUnitOfWork<Needs, Repository> {
    const unitOfWork = new GroupingUnitOfWork(this.database, store, this.config, {
      groupEnded: (works, outcome) => {
        if (outcome === 'committed') this.log.announce();
        this.metrics.groupEnded(store.kind, works, outcome);
      },
    });
    this.metrics.showDepth(store.kind, () => unitOfWork.depth);
    return unitOfWork;
  }
}
