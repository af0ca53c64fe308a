import type { Corruptions } from '../support/corruptions';

/** They need a SKU that ran out for several orders, one that became low, and mails about that. */
export const notificationCorruptions: Corruptions = {
  'every delivery about a SKU that ran out has its event': {
    'a delivery is about nothing that happened': `UPDATE notifications.delivery SET version = 999 WHERE NOT digest`,
    'a delivery is about another SKU': `UPDATE notifications.delivery SET sku = 'OTHER' WHERE NOT digest`,
    'an order was counted for an event that is another': `
      UPDATE notifications.out_of_stock_event SET event_id = gen_random_uuid() WHERE order_id = 'o2'`,
    'the event is gone': `DELETE FROM platform.event WHERE type = 'allocation.out-of-stock.v1'`,
  },
  'no SKU ran out without a delivery, as far as that was dealt with': {
    'an event was passed by': `DELETE FROM notifications.out_of_stock_event WHERE order_id = 'o3'`,
  },
  'a delivery counts the orders that it stands for': {
    'a digest counts one too many': `UPDATE notifications.delivery SET orders = orders + 1 WHERE digest`,
    'a delivery stands for nothing': `
      DELETE FROM notifications.out_of_stock_event USING notifications.delivery AS d WHERE d.id = delivery_id AND NOT digest`,
  },
  'every time that stock became low has its mail, and no other, as far as that was dealt with': {
    'an event was passed by': `DELETE FROM notifications.delivery WHERE kind = 'stock-low'`,
    'a mail is about another SKU': `UPDATE notifications.delivery SET sku = 'OTHER' WHERE kind = 'stock-low'`,
    'a mail is about another event': `UPDATE notifications.delivery SET version = 7 WHERE kind = 'stock-low'`,
    'the event is gone': `DELETE FROM platform.event WHERE type = 'inventory.stock-low.v1'`,
  },
  'deliveries were forgotten only of events that were dealt with': {
    'the horizon lies ahead of its subscriber': `
      INSERT INTO notifications.horizon (subscriber, transaction_id, position)
      SELECT name, transaction_id, position + 1 FROM platform.subscriber WHERE name = 'email-buyers-when-out-of-stock'`,
    'there is no such subscriber': `INSERT INTO notifications.horizon VALUES ('email-nobody', '0', 0)`,
  },
};
