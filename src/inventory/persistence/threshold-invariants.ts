import { QueriedInvariant } from '../../platform/verify/invariant';
import { StockLow, StockRecovered, ThresholdRemoved, ThresholdSet } from '../contract/events';

/** The last event of each stream of a kind, and its key. */
const lastEvents = (kind: string): string => `(
  SELECT DISTINCT ON (stream) substr(stream, length('${kind}:') + 1) AS key, version, type, data
  FROM platform.event WHERE starts_with(stream, '${kind}:') ORDER BY stream, version DESC
)`;

class WatchesAreAsWasTold extends QueriedInvariant {
  readonly name = 'a SKU counts as low exactly if that was the last thing told about it';
  protected readonly query = `
    SELECT format('%s: %s, the last event is %s', coalesce(w.sku, e.key),
                  coalesce(CASE WHEN w.low THEN 'low' ELSE 'not low' END || ', version ' || w.version || ', seen at ' || w.seen,
                           'not watched'),
                  coalesce(e.type || ', version ' || e.version || ', seen at ' || (e.data ->> 'skuVersion'), 'none')) AS broken
    FROM inventory.stock_watch AS w FULL JOIN ${lastEvents('stock')} AS e ON e.key = w.sku
    WHERE (w.version, CASE WHEN w.low THEN '${StockLow.type}' ELSE '${StockRecovered.type}' END, w.seen)
          IS DISTINCT FROM (e.version, e.type, (e.data ->> 'skuVersion')::bigint)`;
}

class CrossingsAlternate extends QueriedInvariant {
  readonly name = 'a SKU becomes low and recovers in turn';
  protected readonly query = `
    SELECT format('%s version %s: %s', stream, version, type) AS broken FROM platform.event
    WHERE starts_with(stream, 'stock:')
      AND type <> CASE WHEN version % 2 = 1 THEN '${StockLow.type}' ELSE '${StockRecovered.type}' END`;
}

class ThresholdsAreAsTheirEventsSay extends QueriedInvariant {
  readonly name = 'a threshold is what its last event says';
  protected readonly query = `
    SELECT format('%s: reorder point %s, cleared at %s, the last event says %s', coalesce(t.pattern, e.key),
                  coalesce(t.reorder_point::text, 'none'), coalesce(t.clear_at::text, 'none'),
                  coalesce(e.type || ' ' || e.data, 'nothing')) AS broken
    FROM inventory.threshold AS t FULL JOIN ${lastEvents('threshold')} AS e ON e.key = t.pattern
    WHERE (t.version, CASE WHEN t.reorder_point IS NULL THEN '${ThresholdRemoved.type}' ELSE '${ThresholdSet.type}' END,
           t.reorder_point, t.clear_at)
          IS DISTINCT FROM
          (e.version, e.type, (e.data ->> 'reorderPoint')::bigint, (e.data ->> 'clearAt')::bigint)`;
}

/** What holds for thresholds and for what was told of low stock; `batchwise verify` checks it. */
export const thresholdInvariants = [WatchesAreAsWasTold, CrossingsAlternate, ThresholdsAreAsTheirEventsSay];
