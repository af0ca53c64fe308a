import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import type { LineState } from '../contract/order-lines';
import { GetOrder } from '../contract/queries';

const linesOfOrder = {
  name: 'order-lines',
  text: `
    SELECT o.order_id AS "orderId", o.line_id AS "lineId", o.sku, o.qty, o.status, o.batch_ref AS "batchRef",
           b.eta::text AS eta, o.priority
    FROM allocation.order_line AS o LEFT JOIN allocation.batch AS b ON b.sku = o.sku AND b.ref = o.batch_ref
    WHERE o.order_id = $1
    ORDER BY o.sku, o.line_id`,
};

/** The order view is written in the command's own transaction, so it is true as soon as the command is answered. */
@QueryHandler(GetOrder)
export class GetOrderHandler implements IQueryHandler<GetOrder> {
  constructor(private readonly database: Database) {}

  execute({ orderId }: GetOrder): Promise<LineState[]> {
    return this.database.query<LineState>(linesOfOrder, [orderId]);
  }
}
