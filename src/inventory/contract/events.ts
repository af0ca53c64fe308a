import { DomainEvent } from '../../kernel/event';

/** From now on stock of the SKUs that match is low at `reorderPoint` units or fewer, until there are `clearAt` again. */
export class ThresholdSet extends DomainEvent<{
  /** A SKU, or a pattern of SKUs. */
  readonly pattern: string;
  readonly reorderPoint: number;
  readonly clearAt: number;
}> {
  static override readonly type = 'inventory.threshold-set.v1';
}

/** The threshold no longer says anything about the SKUs that match. */
export class ThresholdRemoved extends DomainEvent<{ readonly pattern: string }> {
  static override readonly type = 'inventory.threshold-removed.v1';
}

interface Sighting {
  readonly sku: string;
  /** Units that can still be promised, inbound ones included. */
  readonly available: number;
  /** The version of the SKU at which it was seen. */
  readonly skuVersion: number;
}

/** Stock of a SKU has fallen to its reorder point, or below. It is told once, until the stock has recovered. */
export class StockLow extends DomainEvent<
  Sighting & { readonly reorderPoint: number; readonly clearAt: number; readonly pattern: string }
> {
  static override readonly type = 'inventory.stock-low.v1';
}

/** Stock of a SKU that was low has risen to where it counts as recovered; `clearAt` null: no threshold applies any more. */
export class StockRecovered extends DomainEvent<Sighting & { readonly clearAt: number | null }> {
  static override readonly type = 'inventory.stock-recovered.v1';
}
