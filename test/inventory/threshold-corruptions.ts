import type { Corruptions } from '../support/corruptions';

/** They need a SKU `LAMP` that is low, and a SKU `SOFA` that was. */
export const thresholdCorruptions: Corruptions = {
  'a SKU counts as low exactly if that was the last thing told about it': {
    'a SKU is low, and nobody was told': `UPDATE inventory.stock_watch SET low = true WHERE sku = 'SOFA'`,
    'a SKU is not low, and it was told to be': `UPDATE inventory.stock_watch SET low = false WHERE sku = 'LAMP'`,
    'a watch has another version': `UPDATE inventory.stock_watch SET version = version + 2 WHERE sku = 'LAMP'`,
    'a watch saw another version': `UPDATE inventory.stock_watch SET seen = seen - 1 WHERE sku = 'LAMP'`,
    'a watch is gone': `DELETE FROM inventory.stock_watch WHERE sku = 'SOFA'`,
    'a watch has no events': `DELETE FROM platform.event WHERE stream = 'stock:LAMP'`,
  },
  'a SKU becomes low and recovers in turn': {
    'it became low twice': `
      UPDATE platform.event SET type = 'inventory.stock-low.v1' WHERE stream = 'stock:SOFA' AND version = 2`,
    'it recovered first': `
      UPDATE platform.event SET type = 'inventory.stock-recovered.v1' WHERE stream = 'stock:LAMP' AND version = 1`,
  },
  'a threshold is what its last event says': {
    'a threshold has another reorder point': `UPDATE inventory.threshold SET reorder_point = 3 WHERE pattern = '*'`,
    'a threshold clears elsewhere': `UPDATE inventory.threshold SET clear_at = 99 WHERE pattern = '*'`,
    'a threshold was removed, and it was not told': `
      UPDATE inventory.threshold SET reorder_point = NULL, clear_at = NULL WHERE pattern = '*'`,
    'a threshold is gone': `DELETE FROM inventory.threshold WHERE pattern = '*'`,
    'a threshold has no events': `DELETE FROM platform.event WHERE stream = 'threshold:*'`,
  },
};
