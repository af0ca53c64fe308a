import { AllocateOrder } from '../../src/allocation/contract/commands';
import { allocateOrder } from '../../src/allocation/domain/allocate-order';
import type { Product } from '../../src/allocation/domain/product';
import { ProductRepository } from '../../src/allocation/domain/product-repository';
import { line } from '../support/allocation-commands';
import { emptyProduct } from '../support/empty-product';

describe('An order', () => {
  let products: ProductRepository;
  let lamp: Product;

  const allocate = (lines: ReturnType<typeof line>[], options: AllocateOrder['options'] = {}) =>
    allocateOrder(new AllocateOrder('o1', lines, options), products);
  const lamps = (qty: number, lineId = '1') => line('o1', 'LAMP', qty, lineId);
  const sofas = (qty: number) => line('o1', 'SOFA', qty);
  const vases = (qty: number) => line('o1', 'VASE', qty);

  beforeEach(() => {
    lamp = emptyProduct('LAMP');
    const sofa = emptyProduct('SOFA');
    lamp.addBatch({ ref: 'b1', sku: 'LAMP', qty: 10, eta: null });
    sofa.addBatch({ ref: 'b2', sku: 'SOFA', qty: 2, eta: '2031-01-01' });
    products = new ProductRepository();
    products.remember({ products: [lamp, sofa, emptyProduct('VASE')] });
  });

  it('promises its lines from their own products, in their order', () => {
    expect(allocate([sofas(2), lamps(3), lamps(4, '2')])).toMatchObject({
      orderId: 'o1',
      lines: [
        { sku: 'SOFA', batchRef: 'b2', eta: '2031-01-01' },
        { sku: 'LAMP', lineId: '1', batchRef: 'b1' },
        { sku: 'LAMP', lineId: '2', batchRef: 'b1' },
      ],
      failed: [],
    });
  });

  it('without lines is answered without lines', () => {
    expect(allocate([])).toEqual({ orderId: 'o1', lines: [], failed: [] });
  });

  it('gives its priority and what to do when out of stock to each line', () => {
    const { lines } = allocate([lamps(11), sofas(2)], { whenOutOfStock: 'backorder', priority: 3 });
    expect(lines).toMatchObject([
      { status: 'backordered', priority: 3 },
      { status: 'promised', priority: 3 },
    ]);
  });

  describe('of all or nothing, as every order is unless it says otherwise', () => {
    it.each([undefined, 'all-or-nothing' as const])(
      'fails with every line that failed, in their order (%s)',
      (mode) => {
        allocate([lamps(1, 'before')]);
        expect(() => allocate([lamps(1), sofas(3), vases(1), lamps(2, 'before'), lamps(99, '9')], { mode })).toThrow(
          expect.objectContaining({
            code: 'order-not-promised',
            kind: 'conflict',
            details: {
              orderId: 'o1',
              lines: [
                { ...sofas(3), code: 'out-of-stock', message: expect.any(String) },
                { ...vases(1), code: 'unknown-sku', message: 'Invalid sku VASE' },
                { ...lamps(2, 'before'), code: 'line-already-allocated', message: expect.any(String) },
                { ...lamps(99, '9'), code: 'out-of-stock', message: expect.any(String) },
              ],
            },
          }),
        );
      },
    );

    it('is satisfied with lines that wait, if they may', () => {
      expect(allocate([lamps(1), sofas(3)], { whenOutOfStock: 'backorder' })).toMatchObject({
        lines: [{ status: 'promised' }, { status: 'backordered' }],
        failed: [],
      });
    });
  });

  describe('that may be promised in part', () => {
    it('keeps what fits, remembers what is refused, and names the lines that could not be treated', () => {
      expect(allocate([vases(1), lamps(1), sofas(3)], { mode: 'partial' })).toEqual({
        orderId: 'o1',
        lines: [
          expect.objectContaining({ sku: 'LAMP', status: 'promised' }),
          expect.objectContaining({ sku: 'SOFA', status: 'refused' }),
        ],
        failed: [{ ...vases(1), code: 'unknown-sku', message: 'Invalid sku VASE' }],
      });
    });

    it('keeps the lines before and after one that stands with another quantity', () => {
      allocate([lamps(1)]);
      const { lines, failed } = allocate([sofas(2), lamps(2), lamps(3, '2')], { mode: 'partial' });
      expect(lines).toMatchObject([{ sku: 'SOFA' }, { lineId: '2' }]);
      expect(failed).toMatchObject([{ lineId: '1', code: 'line-already-allocated' }]);
      expect([...lamp.knownBatches][0]!.promised).toBe(4);
    });
  });

  it('passes on what is not a refusal', () => {
    expect(() => allocate([line('o1', 'NEVER-LOADED', 1)], { mode: 'partial' })).toThrow('not among the needs');
  });
});
