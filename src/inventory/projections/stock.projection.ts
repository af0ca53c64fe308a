import { Injectable } from '@nestjs/common';
import { productEvents } from '../../allocation/contract/events';
import type { Queryable } from '../../platform/database/database';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import { Projection } from '../../platform/event-log/subscriber';
import { StockLow, StockRecovered } from '../contract/events';
import { StockChanges } from './stock-changes';

/*
 * Not prepared: what is best for the empty tables of a rebuild is not what is best for full ones. Levels change by the
 * difference between their batches and lines before and after, so that a SKU with many batches costs no more than another.
 */
const change = {
  text: `
    WITH batch_change AS (
      SELECT * FROM json_to_recordset($2::json)
        AS c (sku text, ref text, purchased integer, dated boolean, eta date, cancelled boolean, promised integer)
    ), batch_before AS (
      SELECT b.* FROM stock_batch AS b JOIN batch_change AS c ON (b.sku, b.ref) = (c.sku, c.ref)
    ), batch_after AS (
      INSERT INTO stock_batch AS b (sku, ref, purchased, promised, eta, cancelled)
      SELECT c.sku, c.ref, coalesce(c.purchased, b.purchased), coalesce(b.promised, 0) + c.promised,
             CASE WHEN c.dated THEN c.eta ELSE b.eta END, c.cancelled OR coalesce(b.cancelled, false)
      FROM batch_change AS c LEFT JOIN batch_before AS b USING (sku, ref)
      ON CONFLICT (sku, ref) DO UPDATE
        SET purchased = excluded.purchased, promised = excluded.promised, eta = excluded.eta, cancelled = excluded.cancelled
      RETURNING b.*
    ), batches AS (
      SELECT sku,
             sum(sign * purchased) FILTER (WHERE NOT cancelled AND eta IS NULL) AS on_hand,
             sum(sign * purchased) FILTER (WHERE NOT cancelled AND eta IS NOT NULL) AS inbound,
             sum(sign * promised) AS promised
      FROM (SELECT 1 AS sign, * FROM batch_after UNION ALL SELECT -1, * FROM batch_before) AS b GROUP BY sku
    ), line_change AS (
      SELECT * FROM json_to_recordset($3::json) AS c (sku text, order_id text, line_id text, qty integer)
    ), line_before AS (
      SELECT w.* FROM stock_waiting AS w
      JOIN line_change AS c ON (w.sku, w.order_id, w.line_id) = (c.sku, c.order_id, c.line_id)
    ), line_gone AS (
      DELETE FROM stock_waiting AS w USING line_change AS c
      WHERE c.qty = 0 AND (w.sku, w.order_id, w.line_id) = (c.sku, c.order_id, c.line_id)
    ), line_after AS (
      INSERT INTO stock_waiting AS w SELECT * FROM line_change WHERE qty > 0
      ON CONFLICT (sku, order_id, line_id) DO UPDATE SET qty = excluded.qty
    ), lines AS (
      SELECT sku, sum(qty) AS backordered
      FROM (SELECT sku, qty FROM line_change UNION ALL SELECT sku, -qty FROM line_before) AS l GROUP BY sku
    )
    INSERT INTO stock AS s (sku, version, on_hand, inbound, promised, backordered)
    SELECT sku, version, coalesce(on_hand, 0), coalesce(inbound, 0), coalesce(promised, 0), coalesce(backordered, 0)
    FROM json_to_recordset($1::json) AS c (sku text, version bigint)
    LEFT JOIN batches USING (sku) LEFT JOIN lines USING (sku)
    ON CONFLICT (sku) DO UPDATE
      SET version = excluded.version, on_hand = s.on_hand + excluded.on_hand, inbound = s.inbound + excluded.inbound,
          promised = s.promised + excluded.promised, backordered = s.backordered + excluded.backordered`,
};

const redate = {
  text: `
    UPDATE stock AS s SET next_arrival = a.eta
    FROM (
      SELECT sku, coalesce((
        SELECT min(eta) FROM stock_batch AS b WHERE b.sku = changed.sku AND eta IS NOT NULL AND NOT cancelled
      ), 'infinity') AS eta
      FROM unnest($1::text[]) AS changed (sku)
    ) AS a
    WHERE s.sku = a.sku AND s.next_arrival <> a.eta`,
};

/** A SKU may be marked before its levels are known: the events that tell them may be parked, and then it has the version 0. */
const mark = {
  text: `
    INSERT INTO stock (sku, version, on_hand, inbound, promised, backordered, low)
    SELECT sku, 0, 0, 0, 0, 0, low FROM json_to_recordset($1::json) AS m (sku text, low boolean)
    ON CONFLICT (sku) DO UPDATE SET low = excluded.low`,
};

const isCrossing = ({ type }: StoredEvent): boolean => type === StockLow.type || type === StockRecovered.type;

/** What was told last of each SKU: whether it is low. */
function marksOf(crossings: readonly StoredEvent[]): { sku: string; low: boolean }[] {
  const lowOnes = new Map(crossings.map(({ type, data }) => [data.sku as string, type === StockLow.type]));
  return Array.from(lowOnes, ([sku, low]) => ({ sku, low }));
}

/** How much there is of each SKU, and whether that is low, with its batches and the lines that wait: see the contract's `StockLevels`. */
@Injectable()
export class StockProjection extends Projection {
  readonly name = 'stock';
  readonly schema = 'inventory';
  readonly tables = ['stock', 'stock_batch', 'stock_waiting'];
  /** All of a SKU's, so that the version that is shown is the SKU's. */
  readonly events = [...productEvents, StockLow, StockRecovered];

  async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
    const crossings = events.filter(isCrossing);
    const changes = events.filter((event) => !isCrossing(event));
    const { versions, batches, lines, redated } = new StockChanges(changes);
    await transaction.query(change, [JSON.stringify(versions), JSON.stringify(batches), JSON.stringify(lines)]);
    if (redated.length > 0) await transaction.query(redate, [redated]);
    if (crossings.length > 0) await transaction.query(mark, [JSON.stringify(marksOf(crossings))]);
  }
}
