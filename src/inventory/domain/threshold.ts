import { AggregateRoot } from '../../kernel/aggregate-root';
import { DomainError } from '../../kernel/domain-error';
import { type AggregatesByKey, UnitOfWork } from '../../kernel/unit-of-work';
import { ThresholdRemoved, ThresholdSet } from '../contract/events';
import type { ThresholdState } from '../contract/queries';
import { usualClearAt } from './reorder-point';

/** Stock would be low and recovered at once. */
export class InvalidClearAt extends DomainError {
  constructor(reorderPoint: number, clearAt: number) {
    super(
      'invalid-clear-at',
      'invalid',
      `Stock that is low at ${reorderPoint} cannot have recovered at ${clearAt}: clearAt must be higher.`,
      { reorderPoint, clearAt },
    );
  }
}

/** Nobody has said when stock of this SKU, or of the SKUs of this pattern, is low. */
export class UnknownThreshold extends DomainError {
  constructor(pattern: string) {
    super('unknown-threshold', 'not-found', `There is no threshold for ${pattern}.`, { pattern });
  }
}

/** What a threshold is set to; null: it is not, or no longer. */
export type Level = Omit<ThresholdState, 'pattern'> | null;

/** When stock is low, of one SKU or of those of one pattern. An aggregate. */
export class Threshold extends AggregateRoot {
  constructor(
    readonly pattern: string,
    version = 0,
    private current: Level = null,
  ) {
    super(version);
  }

  get level(): Level {
    return this.current;
  }

  /** @throws InvalidClearAt unless `clearAt` is above `reorderPoint` */
  set(reorderPoint: number, clearAt = usualClearAt(reorderPoint)): ThresholdState {
    if (clearAt <= reorderPoint) throw new InvalidClearAt(reorderPoint, clearAt);
    const { pattern } = this;
    if (this.current?.reorderPoint !== reorderPoint || this.current.clearAt !== clearAt) {
      this.current = { reorderPoint, clearAt };
      this.record(new ThresholdSet({ pattern, reorderPoint, clearAt }));
    }
    return { pattern, reorderPoint, clearAt };
  }

  /** @returns what it was set to. @throws UnknownThreshold if it is not set */
  remove(): ThresholdState {
    const { pattern, current } = this;
    if (!current) throw new UnknownThreshold(pattern);
    this.current = null;
    this.record(new ThresholdRemoved({ pattern }));
    return { pattern, ...current };
  }
}

/** The unit of work over thresholds, which are named by their patterns. */
export abstract class ThresholdUnitOfWork extends UnitOfWork<readonly string[], AggregatesByKey<Threshold>> {}
