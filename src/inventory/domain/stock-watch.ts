import { AggregateRoot } from '../../kernel/aggregate-root';
import { type AggregatesByKey, UnitOfWork } from '../../kernel/unit-of-work';
import { StockLow, StockRecovered } from '../contract/events';
import type { ThresholdState } from '../contract/queries';
import { isLow } from './reorder-point';

/** How many units of a SKU could be promised at one of its versions. */
export interface UnitsSeen {
  readonly version: number;
  readonly available: number;
}

/** Whether stock of a SKU was last found to be low, so that it is told once. An aggregate. */
export class StockWatch extends AggregateRoot {
  constructor(
    readonly sku: string,
    version = 0,
    private wasLow = false,
    private lastSeen = 0,
  ) {
    super(version);
  }

  get low(): boolean {
    return this.wasLow;
  }

  /** The version of the SKU at which it was last found to be low, or no longer so; 0: never. */
  get seen(): number {
    return this.lastSeen;
  }

  /** Records a crossing. What is older than the last one is no news, and ignored. */
  judge({ version, available }: UnitsSeen, threshold: ThresholdState | undefined): void {
    if (version < this.lastSeen || isLow(this.wasLow, available, threshold) === this.wasLow) return;
    const sighting = { sku: this.sku, available, skuVersion: version };
    this.wasLow = !this.wasLow;
    this.lastSeen = version;
    this.record(
      this.wasLow
        ? new StockLow({ ...sighting, ...threshold! })
        : new StockRecovered({ ...sighting, clearAt: threshold?.clearAt ?? null }),
    );
  }
}

/** The unit of work over the watches of SKUs. */
export abstract class StockWatchUnitOfWork extends UnitOfWork<readonly string[], AggregatesByKey<StockWatch>> {}
