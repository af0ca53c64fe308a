import { WarehouseThenEarliestEta, type AllocationPolicy } from '../../src/allocation/domain/allocation-policy';
import { LineBook, LoadedLines, type LoadedRun } from '../../src/allocation/domain/line-book';
import { Product } from '../../src/allocation/domain/product';

class Always<V> extends Map<string, V> {
  constructor(private readonly value: V) {
    super();
  }

  override get(): V {
    return this.value;
  }
}

const nothing: LoadedRun = { lines: [], untilQty: 1 };

/** Everything is known of a product that has no stored lines. */
class NothingStored extends LoadedLines {
  override readonly byKey = new Always(null);
  override readonly onBatch = { newest: new Always(nothing), oldest: new Always(nothing) };
  override queue = nothing;
}

/** A product of version 0 that needs no store. */
export const emptyProduct = (sku: string, policy: AllocationPolicy = new WarehouseThenEarliestEta()): Product =>
  new Product(sku, 0, policy, new Map(), new LineBook(sku, new NothingStored()));
