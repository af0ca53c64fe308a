import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config';
import { Database } from '../database/database';
import { LogSignal } from '../event-log/log-signal';
import { GroupingMetrics } from '../metrics/grouping-metrics';
import type { AggregateStore } from './aggregate-store';
import { GroupingUnitOfWork } from './grouping-unit-of-work';
import { SnapshotDryRun } from './snapshot-dry-run';

/** Makes a module's unit of work from its aggregate store, as the service is configured. */
@Injectable()
export class UnitOfWorkFactory {
  private readonly logger = new Logger('UnitOfWork');

  constructor(
    private readonly database: Database,
    private readonly config: Config,
    private readonly metrics: GroupingMetrics,
    private readonly log: LogSignal,
  ) {}

  grouping<Needs, Repository>(store: AggregateStore<Needs, Repository>): GroupingUnitOfWork<Needs, Repository> {
    const { groupMax, groupsInFlight, queueMax } = this.config;
    const unitOfWork = new GroupingUnitOfWork(
      this.database,
      store,
      { groupMax, groupsInFlight, queueMax },
      {
        groupEnded: (works, outcome) => {
          if (outcome === 'committed') this.log.announce();
          this.metrics.groupEnded(store.kind, works, outcome);
        },
        gaveUp: (works, cause) => this.logger.warn(`${works} commands were given up: ${String(cause)}`),
      },
    );
    this.metrics.showDepth(store.kind, () => unitOfWork.depth);
    return unitOfWork;
  }

  dryRun<Needs, Repository>(store: AggregateStore<Needs, Repository>): SnapshotDryRun<Needs, Repository> {
    return new SnapshotDryRun(this.database, store);
  }
}
