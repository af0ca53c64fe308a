import { OutOfStock } from '../../allocation/contract/events';
import { StockLow } from '../../inventory/contract/events';
import { QueriedInvariant } from '../../platform/verify/invariant';
import { isKept, OnlyOldDeliveriesAreForgotten } from './horizon';

class DeliveriesHaveTheirEvents extends QueriedInvariant {
  readonly name = 'every delivery about a SKU that ran out has its event';
  protected readonly query = `
    SELECT format('%s, %s version %s: no such event', told.what, told.stream, told.version) AS broken
    FROM (
      SELECT 'delivery ' || id AS what, stream, version, event_id, sku FROM notifications.delivery
      WHERE kind = 'out-of-stock'
      UNION ALL
      SELECT 'order ' || o.order_id || ' of delivery ' || d.id, o.stream, o.version, o.event_id, d.sku
      FROM notifications.out_of_stock_event AS o JOIN notifications.delivery AS d ON d.id = o.delivery_id
    ) AS told
    LEFT JOIN platform.event AS e
      ON e.stream = told.stream AND e.version = told.version AND e.id = told.event_id AND e.type = '${OutOfStock.type}'
      AND e.data ->> 'sku' = told.sku
    WHERE e.stream IS NULL`;
}

class EventsHaveTheirDeliveries extends QueriedInvariant {
  readonly name = 'no SKU ran out without a delivery, as far as that was dealt with';
  protected readonly query = `
    SELECT format('%s version %s, order %s: nobody is told', e.stream, e.version, e.data ->> 'orderId') AS broken
    FROM platform.event AS e
    JOIN platform.subscriber AS s ON s.name = 'email-buyers-when-out-of-stock'
      AND (e.transaction_id, e.position) <= (s.transaction_id, s.position)
    LEFT JOIN platform.undelivered_event AS p ON p.subscriber = s.name AND p.stream = e.stream AND p.version = e.version
    LEFT JOIN notifications.out_of_stock_event AS o ON o.stream = e.stream AND o.version = e.version
    WHERE e.type = '${OutOfStock.type}' AND p.stream IS NULL AND o.stream IS NULL AND ${isKept}`;
}

class DeliveriesCountTheirOrders extends QueriedInvariant {
  readonly name = 'a delivery counts the orders that it stands for';
  protected readonly query = `
    SELECT format('delivery %s about %s: %s orders, it stands for %s', d.id, d.sku, d.orders, count(DISTINCT o.order_id))
             AS broken
    FROM notifications.delivery AS d LEFT JOIN notifications.out_of_stock_event AS o ON o.delivery_id = d.id
    WHERE d.kind = 'out-of-stock' GROUP BY d.id HAVING d.orders <> count(DISTINCT o.order_id)`;
}

class LowStockIsMailedOnce extends QueriedInvariant {
  readonly name = 'every time that stock became low has its mail, and no other, as far as that was dealt with';
  protected readonly query = `
    SELECT format('%s version %s: %s', coalesce(e.stream, d.stream), coalesce(e.version, d.version),
                  CASE WHEN d.id IS NULL THEN 'nobody is told' ELSE 'no such event, delivery ' || d.id END) AS broken
    FROM (SELECT * FROM platform.event WHERE type = '${StockLow.type}') AS e
    FULL JOIN (SELECT * FROM notifications.delivery WHERE kind = 'stock-low') AS d
      ON d.stream = e.stream AND d.version = e.version AND d.event_id = e.id AND d.sku = e.data ->> 'sku'
    WHERE e.id IS NULL OR d.id IS NULL AND EXISTS (
      SELECT FROM platform.subscriber AS s
      WHERE s.name = 'email-buyers-when-stock-is-low'
        AND (e.transaction_id, e.position) <= (s.transaction_id, s.position) AND ${isKept}
        AND NOT EXISTS (
          SELECT FROM platform.undelivered_event AS p
          WHERE p.subscriber = s.name AND p.stream = e.stream AND p.version = e.version
        )
    )`;
}

/** What holds for mail about SKUs that ran out or became low; `batchwise verify` checks it. */
export const invariants = [
  DeliveriesHaveTheirEvents,
  EventsHaveTheirDeliveries,
  DeliveriesCountTheirOrders,
  LowStockIsMailedOnce,
  OnlyOldDeliveriesAreForgotten,
];
