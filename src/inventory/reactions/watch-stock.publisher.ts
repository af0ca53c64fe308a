import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import {
  Allocated,
  BatchCancelled,
  BatchCreated,
  BatchQuantityChanged,
  Deallocated,
} from '../../allocation/contract/events';
import { GetUnitsLeft, ListSkus, type UnitsLeft } from '../../allocation/contract/queries';
import { Database } from '../../platform/database/database';
import { becauseOf } from '../../platform/event-log/because-of';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import { Publisher } from '../../platform/event-log/subscriber';
import { ThresholdRemoved, ThresholdSet } from '../contract/events';
import { isLow, isOfMany, matches, prefixOf } from '../domain/reorder-point';
import { StockWatchUnitOfWork } from '../domain/stock-watch';
import { lowOnesOf, markReview, placeOfReview, thresholdsOf } from '../persistence/threshold-statements';

/** SKUs that are judged together. */
const atOnce = 500;

/** SKUs, each with the event because of which it is judged. */
type Causes = ReadonlyMap<string, StoredEvent>;

/**
 * Finds out, whenever the stock of SKUs or a threshold has changed, which SKUs have become low, or have recovered. An event
 * says only that something changed; what is judged is what allocation says now, so that a batch of any number of events
 * costs a few queries, and only a crossing writes.
 *
 * Nothing is locked while it reads. What was told may have changed when it is stored, and a watch may have been changed by
 * another replica: so a SKU that was stored is judged again, until there is nothing left to store.
 */
@Injectable()
export class WatchStock extends Publisher {
  readonly name = 'watch-stock';
  override readonly events = [
    BatchCreated,
    BatchQuantityChanged,
    BatchCancelled,
    Allocated,
    Deallocated,
    ThresholdSet,
    ThresholdRemoved,
  ];

  /**
   * The last review of all SKUs of each pattern, and the event that asked for it. One of a million SKUs takes longer than the
   * relay waits for a publisher: it asks again, until it finds that the review has come to its end. How far it has come is
   * stored page by page, so that whoever takes over goes on there.
   */
  private readonly reviews = new Map<string, { readonly because: string; readonly end: Promise<void> }>();

  constructor(
    private readonly database: Database,
    private readonly queries: QueryBus,
    private readonly watches: StockWatchUnitOfWork,
  ) {
    super();
  }

  async publish(events: readonly StoredEvent[]): Promise<void> {
    const skus = new Map<string, StoredEvent>();
    const patterns = new Map<string, StoredEvent>();
    for (const event of events) {
      const { sku, pattern = sku } = event.data as { readonly sku: string; readonly pattern?: string };
      (isOfMany(pattern) ? patterns : skus).set(pattern, event);
    }
    await this.judge(skus);
    for (const [pattern, cause] of patterns) await this.review(pattern, cause);
  }

  /** Joins the review that is under way, or over, because of the same event; one that failed is begun again. */
  private review(pattern: string, cause: StoredEvent): Promise<void> {
    const known = this.reviews.get(pattern);
    if (known?.because === cause.id) return known.end;
    const review = { because: cause.id, end: this.judgeAllOf(pattern, cause) };
    this.reviews.set(pattern, review);
    review.end.catch(() => {
      if (this.reviews.get(pattern) === review) this.reviews.delete(pattern);
    });
    return review.end;
  }

  private async judgeAllOf(pattern: string, cause: StoredEvent): Promise<void> {
    let after: string | undefined = await placeOfReview(this.database, pattern, cause.id);
    while (after !== undefined) {
      const skus: string[] = await this.queries.execute<ListSkus, string[]>(
        new ListSkus(atOnce, prefixOf(pattern), after),
      );
      await this.judge(new Map(skus.filter((sku) => matches(pattern, sku)).map((sku) => [sku, cause])));
      after = skus.length < atOnce ? undefined : skus.at(-1);
      if (after !== undefined) await markReview(this.database, pattern, cause.id, after);
    }
  }

  private async judge(causes: Causes): Promise<void> {
    let left = [...causes.keys()];
    while (left.length > 0) left = await this.judgeOnce(left, causes);
  }

  /** @returns the SKUs of which something was to be stored */
  private async judgeOnce(skus: readonly string[], causes: Causes): Promise<string[]> {
    const [thresholds, lowOnes] = await Promise.all([
      thresholdsOf(this.database, skus),
      lowOnesOf(this.database, skus),
    ]);
    const watched = skus.filter((sku) => thresholds.has(sku) || lowOnes.has(sku));
    if (watched.length === 0) return [];
    const crossed = (await this.queries.execute<GetUnitsLeft, UnitsLeft[]>(new GetUnitsLeft(watched))).filter(
      ({ sku, available }) => isLow(lowOnes.has(sku), available, thresholds.get(sku)) !== lowOnes.has(sku),
    );
    const store = (left: UnitsLeft): Promise<void> =>
      this.watches.run([left.sku], (watches) => watches.get(left.sku).judge(left, thresholds.get(left.sku)));
    await Promise.all(crossed.map((left) => becauseOf(causes.get(left.sku)!, this.name, () => store(left))));
    return crossed.map(({ sku }) => sku);
  }
}
