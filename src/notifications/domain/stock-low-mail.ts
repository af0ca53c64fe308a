import { filled, type Letter } from './letter';

/** What buyers are told when stock of a SKU has fallen to its reorder point. */
export class StockLowMail {
  /** @param template its subject and body say `<sku>`, `<available>` and `<reorderPoint>` where these are to stand */
  constructor(private readonly template: Letter) {}

  /** @param stock.available units that can still be promised */
  about(stock: { readonly sku: string; readonly available: number; readonly reorderPoint: number }): Letter {
    const { sku, available, reorderPoint } = stock;
    return filled(this.template, { sku, available, reorderPoint });
  }
}
