import {
  AllocationPolicy,
  WarehouseThenEarliestEta,
  type Preference,
} from '../../src/allocation/domain/allocation-policy';
import { Batch } from '../../src/allocation/domain/batch';
import { line } from '../support/allocation-commands';
import { emptyProduct } from '../support/empty-product';

const batch = (ref: string, eta: string | null, available = 10): Batch =>
  new Batch({ ref, sku: 'LAMP', purchased: available, promised: 0, eta, cancelled: false });

const permutations = <T>(items: T[]): T[][] =>
  items.length < 2
    ? [items]
    : items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));

describe('WarehouseThenEarliestEta', () => {
  const policy = new WarehouseThenEarliestEta();
  const chosen = (qty: number, ...batches: Batch[]): (string | undefined)[] => {
    const choices = permutations(batches).map((order) => policy.choose(line('o1', 'LAMP', qty), order)?.ref);
    return [...new Set(choices)];
  };

  it('prefers stock in the warehouse to a shipment, however early', () => {
    expect(chosen(1, batch('ship', '1970-01-01'), batch('warehouse', null))).toEqual(['warehouse']);
  });

  it('prefers the shipment that arrives first', () => {
    const shipments = [batch('a', '2031-10-01'), batch('b', '2031-09-30'), batch('c', '2032-01-01')];
    expect(chosen(1, ...shipments)).toEqual(['b']);
  });

  it.each([
    ['in the warehouse', null],
    ['that arrive on the same day', '2031-01-01'],
  ])('prefers the lowest reference among batches %s', (_, eta) => {
    expect(chosen(1, batch('b2', eta), batch('b1', eta), batch('b3', eta))).toEqual(['b1']);
  });

  it('passes over a better batch that cannot take the whole line', () => {
    expect(chosen(8, batch('warehouse', null, 7), batch('ship', '2031-01-01', 8))).toEqual(['ship']);
  });

  it('does not fill a batch up before it opens a better one', () => {
    expect(chosen(2, batch('a', '2031-01-01', 2), batch('b', null, 1000))).toEqual(['b']);
  });

  it('chooses none if none can take the line', () => {
    expect(chosen(8, batch('a', null, 7), batch('b', null, 7))).toEqual([undefined]);
    expect(policy.choose(line('o1', 'LAMP', 1), [])).toBeUndefined();
  });
});

describe('A policy of its own', () => {
  class LatestFirst extends AllocationPolicy {
    readonly name = 'latest-first';
    protected readonly preferences: readonly Preference[] = [
      { name: 'latest eta', compare: (a, b) => (b.eta ?? '').localeCompare(a.eta ?? '') },
    ];
  }

  class TightestFit extends AllocationPolicy {
    readonly name = 'tightest-fit';
    protected readonly preferences: readonly Preference[] = [
      { name: 'tightest fit', compare: (a, b, { qty }) => a.available - qty - (b.available - qty) },
    ];
  }

  it('decides from which batch a product promises', () => {
    const product = emptyProduct('LAMP', new LatestFirst());
    for (const [ref, eta] of [
      ['a', null],
      ['b', '2031-01-01'],
      ['c', '2031-01-02'],
    ] as const) {
      product.addBatch({ ref, sku: 'LAMP', qty: 5, eta });
    }
    expect(product.allocate(line('o1', 'LAMP', 5))).toMatchObject({ batchRef: 'c', eta: '2031-01-02' });
    expect(product.allocate(line('o2', 'LAMP', 5))).toMatchObject({ batchRef: 'b', eta: '2031-01-01' });
    expect(product.allocate(line('o3', 'LAMP', 5))).toMatchObject({ batchRef: 'a', eta: null });
  });

  it('decides from which batch those who wait are promised, and what lost its batch', () => {
    const product = emptyProduct('LAMP', new TightestFit());
    product.addBatch({ ref: 'large', sku: 'LAMP', qty: 9, eta: null });
    product.addBatch({ ref: 'small', sku: 'LAMP', qty: 4, eta: '2031-01-01' });
    product.addBatch({ ref: 'exact', sku: 'LAMP', qty: 3, eta: '2031-01-02' });
    expect(product.allocate(line('o1', 'LAMP', 3))).toMatchObject({ batchRef: 'exact' });
    expect(product.cancelBatch('exact').reallocated).toMatchObject([{ orderId: 'o1', batchRef: 'small' }]);
  });

  it('leaves ties to the lowest reference', () => {
    const choice = new TightestFit().choose(line('o1', 'LAMP', 1), [batch('b', null), batch('a', '2031-01-01')]);
    expect(choice?.ref).toBe('a');
  });
});
