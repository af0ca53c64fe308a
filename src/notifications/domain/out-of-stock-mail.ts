import { filled, type Letter } from './letter';

/** What buyers are told when a SKU runs out of stock. */
export class OutOfStockMail {
  /** Seconds from one mail about a SKU to the next: the orders of that time share one. */
  static readonly quietFor = 3_600;

  /** @param template its subject and body say `<sku>` where the SKU is to stand */
  constructor(private readonly template: Letter) {}

  /** The first mail about a SKU, which stands for one order. */
  first(sku: string): Letter {
    return filled(this.template, { sku });
  }

  /** A later one. @param orders how many different orders were refused since the mail before */
  digest(sku: string, orders: number): Letter {
    const letter = this.first(sku);
    const since = orders === 1 ? '1 order since the last mail.' : `${orders} orders since the last mail.`;
    return { ...letter, body: `${letter.body}\n\n${since}` };
  }
}
