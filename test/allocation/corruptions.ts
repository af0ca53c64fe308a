import type { Commands } from '../support/allocation-commands';
import { line } from '../support/allocation-commands';
import type { Corruptions } from '../support/corruptions';

/** Products with everything that may be stored: lines that are promised, wait, were displaced or refused; all kinds of batches. */
export async function liveALittle(commands: Commands): Promise<void> {
  await commands.createBatch('lamp-1', 'LAMP', 10);
  await commands.createBatch('lamp-2', 'LAMP', 10, '2030-01-01');
  await commands.allocate(line('o1', 'LAMP', 6));
  await commands.allocate(line('o2', 'LAMP', 8));
  await commands.allocate(line('o2', 'LAMP', 4, '2'));
  await commands.allocate(line('o3', 'LAMP', 50), { whenOutOfStock: 'backorder', priority: 3 });
  await commands.allocate(line('o4', 'LAMP', 60));
  await commands.changeBatch('lamp-2', { eta: '2030-02-01' });
  await commands.changeBatch('lamp-1', { qty: 9 });
  await commands.amendLine(line('o1', 'LAMP', 6), 5);
  await commands.createBatch('chair-1', 'CHAIR', 5);
  await commands.createBatch('chair-2', 'CHAIR', 5);
  await commands.allocateOrder('o5', [line('o5', 'CHAIR', 5), line('o5', 'LAMP', 1)], { mode: 'partial' });
  await commands.cancelBatch('chair-1');
  await commands.allocate(line('o6', 'CHAIR', 2), { whenOutOfStock: 'backorder' });
  await commands.releaseLine(line('o6', 'CHAIR', 2));
}

const noCheck = 'ALTER TABLE allocation.batch DROP CONSTRAINT never_oversold;';
const bothTables = (set: string, where: string): string =>
  `UPDATE allocation.line SET ${set} WHERE ${where}; UPDATE allocation.order_line SET ${set} WHERE ${where}`;

export const allocationCorruptions: Corruptions = {
  'what a batch has promised is the sum of its lines': {
    'a counter is one too low': `UPDATE allocation.batch SET promised = promised - 1 WHERE ref = 'lamp-1'`,
    'a line is gone': `DELETE FROM allocation.line WHERE order_id = 'o1'`,
    'a line has another quantity': `UPDATE allocation.line SET qty = qty + 1 WHERE order_id = 'o1'`,
  },
  'no batch has promised more than it holds, or less than nothing': {
    'a batch is oversold': `${noCheck} UPDATE allocation.batch SET promised = purchased + 1 WHERE ref = 'lamp-1'`,
    'a counter is negative': `${noCheck} UPDATE allocation.batch SET promised = -1 WHERE ref = 'lamp-1'`,
  },
  'a line is promised from one batch at most, and that is of its SKU': {
    'a line is stored twice, with two batches': `
      ALTER TABLE allocation.line DROP CONSTRAINT line_pkey;
      INSERT INTO allocation.line
        SELECT sku, order_id, line_id, qty, status, 'lamp-2', priority, displaced, since FROM allocation.line
        WHERE order_id = 'o1'`,
    'a line has a batch of another SKU': `UPDATE allocation.line SET batch_ref = 'chair-2' WHERE order_id = 'o1'`,
    'a line is promised from nothing': `
      ALTER TABLE allocation.line DROP CONSTRAINT promised_from_a_batch;
      UPDATE allocation.line SET batch_ref = NULL WHERE order_id = 'o1'`,
    'a line that waits has a batch': `
      ALTER TABLE allocation.line DROP CONSTRAINT promised_from_a_batch;
      UPDATE allocation.line SET batch_ref = 'lamp-1' WHERE order_id = 'o3'`,
  },
  'nothing is promised from a cancelled batch': {
    'a line still has it': `UPDATE allocation.line SET batch_ref = 'chair-1' WHERE order_id = 'o5' AND sku = 'CHAIR'`,
    'its counter is left': `
      ALTER TABLE allocation.batch DROP CONSTRAINT nothing_promised_from_a_cancelled_batch;
      UPDATE allocation.batch SET promised = 1 WHERE ref = 'chair-1'`,
  },
  'the view of an order shows its lines as they stand': {
    'an order lacks a line': `DELETE FROM allocation.order_line WHERE order_id = 'o1'`,
    'an order has a line that is not stored': `INSERT INTO allocation.order_line VALUES ('o9', 'LAMP', '1', 1, 'refused', NULL, 0)`,
    'an order shows another batch': `UPDATE allocation.order_line SET batch_ref = 'lamp-2' WHERE order_id = 'o1'`,
    'an order shows another status': `UPDATE allocation.order_line SET status = 'refused' WHERE order_id = 'o3'`,
  },
  'every reference leads to its batch, and every batch has its reference': {
    'a reference is gone': `DELETE FROM allocation.batch_ref WHERE ref = 'lamp-1'`,
    'a reference leads to another SKU': `UPDATE allocation.batch_ref SET sku = 'CHAIR' WHERE ref = 'lamp-1'`,
    'a reference leads nowhere': `INSERT INTO allocation.batch_ref VALUES ('sofa-1', 'SOFA')`,
  },
  'the version of a product is that of its last event': {
    'a product is ahead of the log': `UPDATE allocation.product SET version = version + 1 WHERE sku = 'LAMP'`,
    'the last event is lost': `
      DELETE FROM platform.event AS e USING allocation.product AS p
      WHERE p.sku = 'CHAIR' AND e.stream = 'product:CHAIR' AND e.version = p.version`,
    'a product has no events': `INSERT INTO allocation.product VALUES ('SOFA', 1, now())`,
  },
  'folding the events of a product gives exactly its batches and lines': {
    'a counter and a line are wrong alike': `
      UPDATE allocation.batch SET promised = promised - 1 WHERE ref = 'lamp-1';
      ${bothTables('qty = qty - 1', `order_id = 'o1'`)}`,
    'a line is gone from everywhere': `
      DELETE FROM allocation.line WHERE order_id = 'o4'; DELETE FROM allocation.order_line WHERE order_id = 'o4'`,
    'a line came from nowhere': `
      INSERT INTO allocation.line VALUES ('LAMP', 'o9', '1', 1, 'refused', NULL, 0, false, 1);
      INSERT INTO allocation.order_line VALUES ('o9', 'LAMP', '1', 1, 'refused', NULL, 0)`,
    'a place in the queue is another': `UPDATE allocation.line SET since = since + 1 WHERE order_id = 'o3'`,
    'a priority is another': bothTables('priority = 4', `order_id = 'o3'`),
    'a date is another': `UPDATE allocation.batch SET eta = '2031-01-01' WHERE ref = 'lamp-2'`,
    'a batch holds more': `UPDATE allocation.batch SET purchased = purchased + 1 WHERE ref = 'lamp-2'`,
    'a cancelled batch is back': `UPDATE allocation.batch SET cancelled = false WHERE ref = 'chair-1'`,
    'a batch is gone': `
      DELETE FROM allocation.batch WHERE ref = 'chair-1'; DELETE FROM allocation.batch_ref WHERE ref = 'chair-1'`,
    'an event says another quantity': `
      UPDATE platform.event SET data = jsonb_set(data, '{qty}', '7') WHERE stream = 'product:LAMP' AND version = 3`,
    'an event is of another type': `
      UPDATE platform.event SET type = 'allocation.sold.v1' WHERE stream = 'product:LAMP' AND version = 3`,
    'an event is about a batch that nobody knows': `
      UPDATE platform.event SET data = jsonb_set(data, '{batchRef}', '"lamp-9"') WHERE stream = 'product:LAMP' AND version = 3`,
    'a product came from nowhere': `
      INSERT INTO allocation.product VALUES ('SOFA', 1, now());
      INSERT INTO allocation.batch VALUES ('SOFA', 'sofa-1', 5, 0, NULL, false)`,
  },
};
