import { QueriedInvariant } from '../../platform/verify/invariant';
import { streamOf } from '../contract/events';
import { EventsFoldToRows } from './events-fold-to-rows.invariant';

const prefix = streamOf('');

class CountersAreSums extends QueriedInvariant {
  readonly name = 'what a batch has promised is the sum of its lines';
  protected readonly query = `
    SELECT format('batch %s of %s: %s promised, its lines have %s', b.ref, b.sku, b.promised, coalesce(l.qty, 0)) AS broken
    FROM allocation.batch AS b LEFT JOIN (
      SELECT sku, batch_ref AS ref, sum(qty) AS qty FROM allocation.line WHERE status = 'promised' GROUP BY sku, batch_ref
    ) AS l USING (sku, ref)
    WHERE b.promised <> coalesce(l.qty, 0)`;
}

class NothingIsOversold extends QueriedInvariant {
  readonly name = 'no batch has promised more than it holds, or less than nothing';
  protected readonly query = `
    SELECT format('batch %s of %s: %s promised of %s', ref, sku, promised, purchased) AS broken
    FROM allocation.batch WHERE promised NOT BETWEEN 0 AND purchased`;
}

class LinesHaveOneBatch extends QueriedInvariant {
  readonly name = 'a line is promised from one batch at most, and that is of its SKU';
  protected readonly query = `
    SELECT format('line %s of order %s, %s: stored %s times', line_id, order_id, sku, count(*)) AS broken
    FROM allocation.line GROUP BY sku, order_id, line_id HAVING count(*) > 1
    UNION ALL
    SELECT format('line %s of order %s, %s: %s, batch %s', l.line_id, l.order_id, l.sku, l.status,
                  coalesce(l.batch_ref, 'none'))
    FROM allocation.line AS l LEFT JOIN allocation.batch AS b ON b.sku = l.sku AND b.ref = l.batch_ref
    WHERE (l.status = 'promised') <> (b.ref IS NOT NULL) OR (l.batch_ref IS NOT NULL) <> (b.ref IS NOT NULL)`;
}

class NothingFromCancelledBatches extends QueriedInvariant {
  readonly name = 'nothing is promised from a cancelled batch';
  protected readonly query = `
    SELECT format('batch %s of %s: %s promised, %s lines', b.ref, b.sku, b.promised, count(l.line_id)) AS broken
    FROM allocation.batch AS b
    LEFT JOIN allocation.line AS l ON l.sku = b.sku AND l.batch_ref = b.ref AND l.status = 'promised'
    WHERE b.cancelled GROUP BY b.sku, b.ref, b.promised HAVING b.promised <> 0 OR count(l.line_id) > 0`;
}

class OrdersShowTheirLines extends QueriedInvariant {
  readonly name = 'the view of an order shows its lines as they stand';
  protected readonly query = `
    SELECT format('line %s of order %s, %s: it is %s, the order shows %s', line_id, order_id, sku,
                  coalesce(nullif(concat_ws(' ', l.qty, l.status, l.batch_ref, 'priority ' || l.priority), ''), 'nothing'),
                  coalesce(nullif(concat_ws(' ', o.qty, o.status, o.batch_ref, 'priority ' || o.priority), ''), 'nothing')
           ) AS broken
    FROM allocation.line AS l FULL JOIN allocation.order_line AS o USING (sku, order_id, line_id)
    WHERE (l.qty, l.status, l.batch_ref, l.priority) IS DISTINCT FROM (o.qty, o.status, o.batch_ref, o.priority)`;
}

class ReferencesLeadToBatches extends QueriedInvariant {
  readonly name = 'every reference leads to its batch, and every batch has its reference';
  protected readonly query = `
    SELECT format('reference %s, %s: %s', ref, sku, CASE WHEN r.known THEN 'no batch' ELSE 'not known' END) AS broken
    FROM (SELECT sku, ref, true AS known FROM allocation.batch_ref) AS r
    FULL JOIN (SELECT sku, ref, true AS known FROM allocation.batch) AS b USING (sku, ref)
    WHERE r.known IS NULL OR b.known IS NULL`;
}

class VersionsAreThoseOfTheLog extends QueriedInvariant {
  readonly name = 'the version of a product is that of its last event';
  protected readonly query = `
    SELECT format('%s: version %s, its last event %s', sku, coalesce(p.version::text, 'none'),
                  coalesce(e.version::text, 'none')) AS broken
    FROM allocation.product AS p FULL JOIN (
      SELECT substr(stream, length('${prefix}') + 1) AS sku, max(version) AS version
      FROM platform.event WHERE starts_with(stream, '${prefix}') GROUP BY stream
    ) AS e USING (sku)
    WHERE p.version IS DISTINCT FROM e.version`;
}

/** What holds for products, batches and lines; `batchwise verify` checks it. */
export const invariants = [
  CountersAreSums,
  NothingIsOversold,
  LinesHaveOneBatch,
  NothingFromCancelledBatches,
  OrdersShowTheirLines,
  ReferencesLeadToBatches,
  VersionsAreThoseOfTheLog,
  EventsFoldToRows,
];
