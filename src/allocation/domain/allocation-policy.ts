import type { RequestedLine } from '../contract/order-lines';
import type { Batch } from './batch';

/** One reason to prefer a batch to another; the first of a policy's preferences that tells two batches apart decides. */
export interface Preference {
  /** What the preference says, for people: "warehouse first". */
  readonly name: string;
  /** Negative: `a` is preferred; positive: `b`; 0: no difference. Pure. */
  readonly compare: (a: Batch, b: Batch, line: RequestedLine) => number;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Ties that a policy leaves are broken by reference, so that the choice never depends on chance. */
const byReference: Preference = { name: 'lowest reference', compare: (a, b) => byText(a.ref, b.ref) };

/**
 * Which of the batches that can take a line is the best: a pure ranking, and the port by which a team brings its own
 * (provide another class for this token).
 */
export abstract class AllocationPolicy {
  /** By which plans and explanations call it: `warehouse-first`. */
  abstract readonly name: string;

  /** The preferences, the most important first. */
  protected abstract readonly preferences: readonly Preference[];

  /** Negative: `a` is better for the line than `b`; never 0 for two batches. */
  compare(a: Batch, b: Batch, line: RequestedLine): number {
    for (const preference of this.preferences) {
      const order = preference.compare(a, b, line);
      if (order !== 0) return order;
    }
    return byReference.compare(a, b, line);
  }

  /** The preference that decides between two batches. */
  between(a: Batch, b: Batch, line: RequestedLine): Preference {
    return this.preferences.find(({ compare }) => compare(a, b, line) !== 0) ?? byReference;
  }

  /** The best batch that can take the whole line; undefined if none can. */
  choose(line: RequestedLine, batches: Iterable<Batch>): Batch | undefined {
    let best: Batch | undefined;
    for (const batch of batches) {
      if (batch.canTake(line) && (best === undefined || this.compare(batch, best, line) < 0)) best = batch;
    }
    return best;
  }
}

const warehouseFirst: Preference = {
  name: 'warehouse first',
  compare: (a, b) => Number(a.eta !== null) - Number(b.eta !== null),
};
const earliestEta: Preference = { name: 'earliest eta', compare: (a, b) => byText(a.eta ?? '', b.eta ?? '') };
const latestEta: Preference = { name: 'latest eta', compare: (a, b) => byText(b.eta ?? '', a.eta ?? '') };
const smallestFit: Preference = { name: 'smallest fit', compare: (a, b) => a.available - b.available };

/** The default: stock in the warehouse before shipments, then the shipment that arrives first. */
export class WarehouseThenEarliestEta extends AllocationPolicy {
  readonly name = 'warehouse-first';
  protected readonly preferences = [warehouseFirst, earliestEta];
}

/** As soon as possible; of what is there at the same time the batch with the least left, so that large lines find room. */
export class EarliestEtaThenSmallestFit extends AllocationPolicy {
  readonly name = 'earliest-eta-then-smallest-fit';
  protected readonly preferences = [warehouseFirst, earliestEta, smallestFit];
}

/** As late as possible, the warehouse last: what can be had soon is kept for those who are in a hurry. */
export class LatestEta extends AllocationPolicy {
  readonly name = 'latest-eta';
  protected readonly preferences = [latestEta];
}
