import { z } from 'zod';
import { Id, IsoDate, Quantity } from '../../../../src/platform/http/fields';

export const PurchaseRequest = z
  .strictObject({ ref: Id, sku: Id, qty: Quantity, eta: IsoDate })
  .meta({ id: 'PurchaseRequest', description: 'What was ordered from a supplier.' });
export type PurchaseRequest = z.output<typeof PurchaseRequest>;

export const Purchase = z.object({ ref: Id }).meta({ id: 'Purchase', description: 'A purchase, by its batch.' });

export const Suggestions = z
  .array(z.object({ sku: Id, qty: Quantity }))
  .meta({ id: 'Suggestions', description: 'Units that were refused, per SKU.' });
