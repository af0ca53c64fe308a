import type { QueryBus } from '@nestjs/cqrs';
import { GetUnitsLeft, ListSkus } from '../../src/allocation/contract/queries';
import { GetUnitsLeftHandler, ListSkusHandler } from '../../src/allocation/queries/units-left.query';
import { StockLow, StockRecovered } from '../../src/inventory/contract/events';
import { StockWatchStore } from '../../src/inventory/persistence/stock-watch-store';
import { ThresholdStore } from '../../src/inventory/persistence/threshold-store';
import { WatchStock } from '../../src/inventory/reactions/watch-stock.publisher';
import type { Database } from '../../src/platform/database/database';
import { isBehind, readAfter, readHead } from '../../src/platform/event-log/event-log-reader';
import type { Position, StoredEvent } from '../../src/platform/event-log/stored-event';
import { GroupingUnitOfWork } from '../../src/platform/unit-of-work/grouping-unit-of-work';
import { until } from '../support/replica';

/** What watches stock on one replica. @param listSkus answers instead of allocation */
export function watcherOn(
  database: Database,
  listSkus: (query: ListSkus) => Promise<string[]> = (query) => new ListSkusHandler(database).execute(query),
): WatchStock {
  const queries = {
    execute: (query: object) =>
      query instanceof GetUnitsLeft ? new GetUnitsLeftHandler(database).execute(query) : listSkus(query as ListSkus),
  } as unknown as QueryBus;
  return new WatchStock(database, queries, new GroupingUnitOfWork(database, new StockWatchStore()));
}

/** Sets thresholds, or removes them (null). */
export function thresholdsOn(database: Database) {
  const unitOfWork = new GroupingUnitOfWork(database, new ThresholdStore());
  return (pattern: string, reorderPoint: number | null, clearAt?: number): Promise<unknown> =>
    unitOfWork.run([pattern], (thresholds) => {
      const threshold = thresholds.get(pattern);
      return reorderPoint === null ? threshold.remove() : threshold.set(reorderPoint, clearAt);
    });
}

/** The log, read on from where it was read before: everything that was committed when it is asked. */
export function logOf(database: Database): () => Promise<StoredEvent[]> {
  let at: Position = { transactionId: '0', position: '0' };
  return async () => {
    const head = await readHead(database);
    const read: StoredEvent[] = [];
    await until(async () => {
      const events = await readAfter(database, at, 1_000);
      read.push(...events);
      at = events.at(-1) ?? at;
      return !head || !isBehind(at, head);
    });
    return read;
  };
}

/** What was told of a SKU, oldest first: `low 10` or `recovered 20`. */
export async function told(database: Database, sku: string): Promise<string[]> {
  const rows = await database.query<{ type: string; available: string }>(
    {
      text: `SELECT type, data ->> 'available' AS available FROM platform.event WHERE stream = 'stock:' || $1 ORDER BY version`,
    },
    [sku],
  );
  const names: Record<string, string> = { [StockLow.type]: 'low', [StockRecovered.type]: 'recovered' };
  return rows.map(({ type, available }) => `${names[type]} ${available}`);
}
