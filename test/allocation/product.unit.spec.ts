import { NotLoaded } from '../../src/kernel/unit-of-work';
import type { AllocationOptions, ChangeBatch } from '../../src/allocation/contract/commands';
import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { Batch } from '../../src/allocation/domain/batch';
import { LineBook, LoadedLines } from '../../src/allocation/domain/line-book';
import { OrderLine } from '../../src/allocation/domain/order-line';
import { Product } from '../../src/allocation/domain/product';
import type { ProductNeeds } from '../../src/allocation/domain/product-needs';
import { line } from '../support/allocation-commands';
import { emptyProduct } from '../support/empty-product';

const soon = '2031-01-01';
const later = '2031-02-01';
const latest = '2031-03-01';

describe('Product', () => {
  let product: Product;

  const addBatch = (ref: string, qty: number, eta: string | null = null) =>
    product.addBatch({ ref, sku: 'LAMP', qty, eta });
  const changeBatch = (ref: string, change: ChangeBatch['change']) => product.changeBatch(ref, change);
  const allocate = (orderId: string, qty: number, options?: AllocationOptions) =>
    product.allocate(line(orderId, 'LAMP', qty), options);
  const backorder = (orderId: string, qty: number, priority = 0) =>
    allocate(orderId, qty, { whenOutOfStock: 'backorder', priority });
  const amend = (orderId: string, qty: number) => product.amend(line(orderId, 'LAMP', 1), qty);
  const release = (...orderIds: string[]) => product.release(orderIds.map((orderId) => line(orderId, 'LAMP', 1)));

  const standing = (orderId: string): OrderLine | undefined => [...product.changedLinesOf(orderId)][0];
  const batchOf = (orderId: string): string | null | undefined => standing(orderId)?.batchRef;
  const batch = (ref: string) => [...product.knownBatches].find((known) => known.ref === ref)!.state();
  const orders = (lines: readonly { orderId: string }[]): string[] => lines.map(({ orderId }) => orderId);
  /** What `action` records: the names of the events, each with the order or the batch that it is about. */
  const eventsOf = (action: () => unknown): string[] => {
    const before = product.recorded.length;
    action();
    return product.recorded.slice(before).map(({ event }) => {
      const { orderId, ref } = event.data as { orderId?: string; ref?: string };
      return `${event.constructor.name} ${orderId ?? ref}`;
    });
  };
  const lastEvent = () => product.recorded.at(-1)!.event;

  beforeEach(() => {
    product = emptyProduct('LAMP');
  });

  describe('takes a batch into account', () => {
    it('that can be promised from now on', () => {
      expect(addBatch('b1', 10, soon)).toEqual({
        batch: { ref: 'b1', sku: 'LAMP', purchased: 10, promised: 0, available: 10, eta: soon, cancelled: false },
        created: true,
        promised: [],
      });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.batch-created.v1',
        data: { ref: 'b1', sku: 'LAMP', qty: 10, eta: soon },
      });
    });

    it('once: the same again is answered with what stands and records nothing', () => {
      addBatch('b1', 10);
      allocate('o1', 4);
      const again = eventsOf(() =>
        expect(addBatch('b1', 10)).toMatchObject({ created: false, batch: { promised: 4 }, promised: [] }),
      );
      expect(again).toEqual([]);
    });

    it.each([
      ['another quantity', { qty: 11 }],
      ['another date', { eta: later }],
      ['no date', { eta: null }],
      ['another SKU', { sku: 'SOFA' }],
    ])('and refuses its reference with %s', (_, other) => {
      addBatch('b1', 10, soon);
      const recorded = eventsOf(() =>
        expect(() => product.addBatch({ ref: 'b1', sku: 'LAMP', qty: 10, eta: soon, ...other })).toThrow(
          expect.objectContaining({ code: 'batch-exists', kind: 'conflict', details: { ref: 'b1' } }),
        ),
      );
      expect(recorded).toEqual([]);
    });

    it('and refuses the reference of one that was cancelled', () => {
      addBatch('b1', 10);
      product.cancelBatch('b1');
      expect(() => addBatch('b1', 10)).toThrow(expect.objectContaining({ code: 'batch-exists' }));
    });

    it('that may be empty, or as large as an integer, but no fraction and not less than nothing', () => {
      expect(addBatch('empty', 0).created).toBe(true);
      expect(addBatch('large', 2_147_483_647).created).toBe(true);
      for (const qty of [-1, 0.5, NaN, 2_147_483_648]) {
        expect(() => addBatch('wrong', qty)).toThrow(
          expect.objectContaining({ code: 'invalid-quantity', kind: 'invalid' }),
        );
      }
    });
  });

  describe('promises a line', () => {
    it('and says from which batch and when it arrives', () => {
      addBatch('b1', 10, soon);
      expect(product.allocate(line('o1', 'LAMP', 3, '2'), { priority: 7 })).toEqual({
        orderId: 'o1',
        lineId: '2',
        sku: 'LAMP',
        qty: 3,
        status: 'promised',
        batchRef: 'b1',
        eta: soon,
        priority: 7,
        repeated: false,
      });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.allocated.v1',
        data: {
          orderId: 'o1',
          lineId: '2',
          sku: 'LAMP',
          qty: 3,
          batchRef: 'b1',
          eta: soon,
          priority: 7,
          reason: 'requested',
        },
      });
      expect(batch('b1').available).toBe(7);
    });

    it('from the warehouse first, then from the earliest shipment, then by reference', () => {
      addBatch('b4', 1, later);
      addBatch('b3', 1, soon);
      addBatch('b2', 1, soon);
      addBatch('b5', 1);
      const refs = ['o1', 'o2', 'o3', 'o4'].map((orderId) => allocate(orderId, 1).batchRef);
      expect(refs).toEqual(['b5', 'b2', 'b3', 'b4']);
    });

    it('of exactly what is available', () => {
      addBatch('b1', 3);
      expect(allocate('o1', 3).batchRef).toBe('b1');
      expect(batch('b1').available).toBe(0);
    });

    it('from one batch or not at all', () => {
      addBatch('b1', 3);
      addBatch('b2', 3);
      expect(allocate('o1', 4)).toMatchObject({ status: 'refused', batchRef: null });
    });

    it('beside another line of the same order and SKU', () => {
      addBatch('b1', 10);
      product.allocate(line('o1', 'LAMP', 3, '1'));
      product.allocate(line('o1', 'LAMP', 4, '2'));
      expect(batch('b1').promised).toBe(7);
    });

    it('once: the same again gets the same answer and records nothing, even if a better batch has come', () => {
      addBatch('b1', 10, soon);
      const first = allocate('o1', 3);
      addBatch('b2', 10);
      const again = eventsOf(() => expect(allocate('o1', 3)).toEqual({ ...first, repeated: true }));
      expect(again).toEqual([]);
      expect(batch('b1').promised).toBe(3);
    });

    it('of one quantity: the same line with another is refused', () => {
      addBatch('b1', 10);
      allocate('o1', 3);
      const recorded = eventsOf(() =>
        expect(() => allocate('o1', 4)).toThrow(
          expect.objectContaining({
            code: 'line-already-allocated',
            kind: 'conflict',
            details: {
              line: expect.objectContaining({ orderId: 'o1', lineId: '1', sku: 'LAMP', qty: 3, batchRef: 'b1' }),
            },
          }),
        ),
      );
      expect(recorded).toEqual([]);
    });

    it.each([0, -1, 1.5, NaN, 2_147_483_648])('of whole units, so not of %d', (qty) => {
      addBatch('b1', 10);
      expect(() => allocate('o1', qty)).toThrow(expect.objectContaining({ code: 'invalid-quantity', kind: 'invalid' }));
      expect(batch('b1').promised).toBe(0);
    });
  });

  describe('refuses a line that fits nowhere', () => {
    it('and remembers it', () => {
      addBatch('b1', 3);
      expect(allocate('o1', 4, { priority: 2 })).toMatchObject({
        status: 'refused',
        batchRef: null,
        eta: null,
        repeated: false,
      });
      expect(standing('o1')).toMatchObject({ status: 'refused', qty: 4 });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.out-of-stock.v1',
        data: { orderId: 'o1', lineId: '1', sku: 'LAMP', qty: 4, priority: 2 },
      });
    });

    it('and records nothing when the same is asked again', () => {
      addBatch('b1', 3);
      const first = allocate('o1', 4);
      const again = eventsOf(() => expect(allocate('o1', 4)).toEqual({ ...first, repeated: true }));
      expect(again).toEqual([]);
    });

    it('and refuses it anew when another quantity is asked', () => {
      addBatch('b1', 3);
      allocate('o1', 4);
      expect(eventsOf(() => expect(allocate('o1', 5)).toMatchObject({ repeated: false, qty: 5 }))).toEqual([
        'OutOfStock o1',
      ]);
    });

    it('and promises it when it is asked again and fits', () => {
      addBatch('b1', 3);
      allocate('o1', 4);
      expect(addBatch('b2', 4).promised).toEqual([]);
      expect(allocate('o1', 4)).toMatchObject({ status: 'promised', batchRef: 'b2', repeated: false });
    });

    it('or lets it wait when it is asked again so', () => {
      addBatch('b1', 3);
      allocate('o1', 4);
      expect(backorder('o1', 4)).toMatchObject({ status: 'backordered', repeated: false });
    });
  });

  describe('lets a line wait that fits nowhere', () => {
    it('if that is wished', () => {
      addBatch('b1', 3);
      expect(backorder('o1', 4, 5)).toMatchObject({
        status: 'backordered',
        batchRef: null,
        eta: null,
        priority: 5,
        repeated: false,
      });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.backordered.v1',
        data: { orderId: 'o1', qty: 4, priority: 5, displaced: false, since: product.version, reason: 'out-of-stock' },
      });
    });

    it('and records nothing when the same is asked again, however the line is to be treated', () => {
      addBatch('b1', 3);
      backorder('o1', 4);
      const again = eventsOf(() => {
        expect(backorder('o1', 4)).toMatchObject({ status: 'backordered', repeated: true });
        expect(allocate('o1', 4)).toMatchObject({ status: 'backordered', repeated: true });
      });
      expect(again).toEqual([]);
    });

    it('and refuses the same line with another quantity', () => {
      addBatch('b1', 3);
      backorder('o1', 4);
      expect(() => backorder('o1', 3)).toThrow(expect.objectContaining({ code: 'line-already-allocated' }));
    });

    it('and promises it from the first batch that has room', () => {
      addBatch('b1', 3);
      backorder('o1', 4);
      expect(addBatch('b2', 3).promised).toEqual([]);
      expect(addBatch('b3', 4, soon)).toMatchObject({
        promised: [{ orderId: 'o1', status: 'promised', batchRef: 'b3', eta: soon }],
        batch: { promised: 4, available: 0 },
      });
      expect(lastEvent()).toMatchObject({ data: { orderId: 'o1', reason: 'backorder-served' } });
    });

    it('and promises it when a batch grows', () => {
      addBatch('b1', 3);
      backorder('o1', 4);
      expect(changeBatch('b1', { qty: 4 })).toMatchObject({
        promised: [{ orderId: 'o1', batchRef: 'b1' }],
        batch: { purchased: 4, promised: 4, available: 0 },
      });
    });

    it('and promises it when another line is released', () => {
      addBatch('b1', 4);
      allocate('o1', 1);
      backorder('o2', 4);
      expect(release('o1')).toMatchObject({
        released: [{ orderId: 'o1' }],
        promised: [{ orderId: 'o2', batchRef: 'b1' }],
      });
    });

    it('and promises it when another line shrinks', () => {
      addBatch('b1', 4);
      allocate('o1', 2);
      backorder('o2', 3);
      amend('o1', 1);
      expect(batchOf('o2')).toBe('b1');
    });

    it('and promises it when a line ahead of it stops waiting', () => {
      addBatch('b1', 4);
      backorder('o1', 9);
      backorder('o2', 4);
      expect(release('o1').promised).toMatchObject([{ orderId: 'o2', batchRef: 'b1' }]);
    });
  });

  describe('keeps a queue', () => {
    it('by priority, the higher first, then by arrival', () => {
      addBatch('b1', 0);
      for (const [orderId, priority] of [
        ['o1', 0],
        ['o2', 1],
        ['o3', -1],
        ['o4', 1],
        ['o5', 0],
      ] as const) {
        backorder(orderId, 1, priority);
      }
      expect(orders(addBatch('b2', 5).promised)).toEqual(['o2', 'o4', 'o1', 'o5', 'o3']);
    });

    it('in which nobody is overtaken by one behind who would fit', () => {
      addBatch('b1', 0);
      backorder('o1', 5);
      backorder('o2', 1);
      expect(addBatch('b2', 4).promised).toEqual([]);
      expect(orders(addBatch('b3', 5).promised)).toEqual(['o1', 'o2']);
    });

    it('that serves as many as fit and stops at the first that does not', () => {
      addBatch('b1', 0);
      for (const [orderId, qty] of [
        ['o1', 2],
        ['o2', 2],
        ['o3', 2],
        ['o4', 1],
      ] as const)
        backorder(orderId, qty);
      expect(orders(addBatch('b2', 5).promised)).toEqual(['o1', 'o2']);
      expect(batch('b2').available).toBe(1);
    });

    it.each([
      ['the same', 3],
      ['a lower', 2],
    ])('that is not overtaken by a new line of %s priority', (_, priority) => {
      addBatch('b1', 4);
      backorder('o1', 5, 3);
      expect(allocate('o2', 1, { priority }).status).toBe('refused');
      expect(backorder('o3', 1, priority).status).toBe('backordered');
      expect(batch('b1').promised).toBe(0);
    });

    it('that a new line of higher priority passes', () => {
      addBatch('b1', 4);
      backorder('o1', 5, 3);
      expect(allocate('o2', 1, { priority: 4 })).toMatchObject({ status: 'promised', batchRef: 'b1' });
    });

    it('at whose head a new line of higher priority waits', () => {
      addBatch('b1', 4);
      backorder('o1', 5, 3);
      backorder('o2', 6, 4);
      expect(orders(addBatch('b2', 6).promised)).toEqual(['o2']);
    });

    it('that whoever was served has left', () => {
      addBatch('b1', 0);
      backorder('o1', 1);
      addBatch('b2', 2);
      expect(allocate('o2', 1)).toMatchObject({ status: 'promised' });
    });

    it('that whoever is released has left it', () => {
      addBatch('b1', 0);
      backorder('o1', 1);
      backorder('o2', 1);
      expect(release('o1')).toMatchObject({ released: [{ orderId: 'o1', status: 'backordered' }], promised: [] });
      expect(lastEvent()).toMatchObject({ data: { orderId: 'o1', batchRef: null, reason: 'released' } });
      expect(orders(addBatch('b2', 2).promised)).toEqual(['o2']);
    });

    it('in which a line that is amended keeps its place', () => {
      addBatch('b1', 0);
      backorder('o1', 5);
      backorder('o2', 1);
      expect(amend('o1', 6)).toMatchObject({ status: 'backordered', qty: 6, repeated: false });
      expect(lastEvent()).toMatchObject({
        data: { orderId: 'o1', qty: 6, displaced: false, since: 2, reason: 'amended' },
      });
      expect(addBatch('b2', 5).promised).toEqual([]);
      expect(orders(addBatch('b3', 6).promised)).toEqual(['o1', 'o2']);
    });

    it('in which a line that is amended until it fits is promised, and so are those behind it', () => {
      addBatch('b1', 4);
      backorder('o1', 5);
      backorder('o2', 1);
      expect(amend('o1', 3)).toMatchObject({ status: 'promised', batchRef: 'b1', qty: 3, repeated: false });
      expect(batchOf('o2')).toBe('b1');
    });
  });

  describe('when a batch turns out smaller', () => {
    it('keeps every promise that still fits', () => {
      addBatch('b1', 10);
      allocate('o1', 6);
      expect(changeBatch('b1', { qty: 6 })).toEqual({
        batch: expect.objectContaining({ purchased: 6, promised: 6, available: 0 }),
        released: [],
        reallocated: [],
        shortfall: [],
        promised: [],
      });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.batch-quantity-changed.v1',
        data: { ref: 'b1', sku: 'LAMP', qty: 6, previousQty: 10 },
      });
    });

    it('releases the newest promises, no more than needed', () => {
      addBatch('b1', 10);
      for (const orderId of ['o1', 'o2', 'o3']) allocate(orderId, 3);
      const { released, shortfall } = changeBatch('b1', { qty: 5 });
      expect(released).toMatchObject([
        { orderId: 'o3', status: 'promised', batchRef: 'b1' },
        { orderId: 'o2', status: 'promised', batchRef: 'b1' },
      ]);
      expect(orders(shortfall)).toEqual(['o2', 'o3']);
      expect(batchOf('o1')).toBe('b1');
      expect(batch('b1')).toMatchObject({ purchased: 5, promised: 3 });
    });

    it('counts as newest whoever was promised last, not whoever came last', () => {
      addBatch('b1', 2);
      addBatch('b2', 2, soon);
      allocate('o1', 2);
      allocate('o2', 1);
      changeBatch('b1', { qty: 0 });
      expect(batchOf('o1')).toBe(null);
      changeBatch('b2', { qty: 3 });
      expect(batchOf('o1')).toBe('b2');
      expect(orders(changeBatch('b2', { qty: 1 }).released)).toEqual(['o1']);
    });

    it('promises the released lines from other batches in the same step, the oldest promise first', () => {
      addBatch('b1', 9);
      addBatch('b2', 3, soon);
      addBatch('b3', 9, later);
      for (const orderId of ['o1', 'o2', 'o3']) allocate(orderId, 3);
      const recorded = eventsOf(() => {
        const change = changeBatch('b1', { qty: 4 });
        expect(orders(change.released)).toEqual(['o3', 'o2']);
        expect(change.reallocated).toMatchObject([
          { orderId: 'o2', batchRef: 'b2', eta: soon },
          { orderId: 'o3', batchRef: 'b3', eta: later },
        ]);
        expect(change.shortfall).toEqual([]);
      });
      expect(recorded).toEqual([
        'BatchQuantityChanged b1',
        'Deallocated o3',
        'Deallocated o2',
        'Allocated o2',
        'Allocated o3',
      ]);
      expect(lastEvent()).toMatchObject({ data: { reason: 'reallocated' } });
    });

    it('promises each released line that fits somewhere, even if an older one does not', () => {
      addBatch('b1', 9);
      addBatch('b2', 1, soon);
      allocate('o1', 8);
      allocate('o2', 1);
      const { reallocated, shortfall } = changeBatch('b1', { qty: 0 });
      expect(reallocated).toMatchObject([{ orderId: 'o2', batchRef: 'b2' }]);
      expect(shortfall).toMatchObject([{ orderId: 'o1', status: 'backordered', batchRef: null, eta: null }]);
    });

    it('lets a small line stay that was released with a large one but fits beside what is left', () => {
      addBatch('b1', 12);
      allocate('o1', 10);
      allocate('o2', 2);
      const { reallocated, shortfall } = changeBatch('b1', { qty: 9 });
      expect(reallocated).toMatchObject([{ orderId: 'o2', batchRef: 'b1' }]);
      expect(orders(shortfall)).toEqual(['o1']);
    });

    it('lets the shortfall wait, and says so', () => {
      addBatch('b1', 5);
      allocate('o1', 5, { priority: 2 });
      const promisedAt = product.version;
      expect(changeBatch('b1', { qty: 4 }).shortfall).toMatchObject([{ orderId: 'o1', qty: 5, status: 'backordered' }]);
      expect(product.recorded.slice(-2).map(({ event }) => event)).toMatchObject([
        { data: { orderId: 'o1', batchRef: 'b1', reason: 'batch-shrunk' } },
        { data: { orderId: 'o1', priority: 2, displaced: true, since: promisedAt, reason: 'shortfall' } },
      ]);
    });

    it('lets the shortfall wait ahead of others of its priority, and behind those of a higher', () => {
      addBatch('b1', 4);
      allocate('o1', 2);
      allocate('o2', 2);
      backorder('first', 1);
      backorder('urgent', 1, 1);
      changeBatch('b1', { qty: 0 });
      expect(orders(addBatch('b2', 6).promised)).toEqual(['urgent', 'o1', 'o2', 'first']);
    });

    it('lets the shortfall wait ahead also of those who waited before it was promised', () => {
      addBatch('b1', 4);
      allocate('o1', 4);
      backorder('o2', 2);
      amend('o1', 3);
      changeBatch('b1', { qty: 0 });
      expect(orders(addBatch('b2', 3).promised)).toEqual(['o1']);
    });

    it('serves those who wait from what the released lines leave', () => {
      addBatch('b1', 10);
      allocate('o1', 9);
      backorder('o2', 4, 1);
      expect(changeBatch('b1', { qty: 5 })).toMatchObject({
        shortfall: [{ orderId: 'o1' }],
        promised: [{ orderId: 'o2', batchRef: 'b1' }],
        batch: { promised: 4, available: 1 },
      });
    });

    it('takes the shortfall back when it grows again', () => {
      addBatch('b1', 6);
      for (const orderId of ['o1', 'o2', 'o3']) allocate(orderId, 2);
      changeBatch('b1', { qty: 1 });
      expect(orders(changeBatch('b1', { qty: 6 }).promised)).toEqual(['o1', 'o2', 'o3']);
    });

    it('does nothing if the quantity is the one that is known', () => {
      addBatch('b1', 6);
      allocate('o1', 2);
      const recorded = eventsOf(() =>
        expect(changeBatch('b1', { qty: 6 })).toMatchObject({ batch: { promised: 2 }, released: [] }),
      );
      expect(recorded).toEqual([]);
    });

    it.each([-1, 0.5, NaN])('does not believe a quantity of %d', (qty) => {
      addBatch('b1', 6);
      allocate('o1', 2);
      const recorded = eventsOf(() =>
        expect(() => changeBatch('b1', { qty })).toThrow(expect.objectContaining({ code: 'invalid-quantity' })),
      );
      expect(recorded).toEqual([]);
      expect(batchOf('o1')).toBe('b1');
    });
  });

  describe('when a batch will arrive at another time', () => {
    it('keeps the promises with the new date if it is earlier', () => {
      addBatch('b1', 5, later);
      addBatch('b2', 5, latest);
      allocate('o1', 5);
      expect(changeBatch('b1', { eta: soon })).toMatchObject({ batch: { eta: soon, promised: 5 }, released: [] });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.batch-eta-changed.v1',
        data: { ref: 'b1', sku: 'LAMP', eta: soon, previousEta: later },
      });
      expect(allocate('o1', 5)).toMatchObject({ batchRef: 'b1', eta: soon });
    });

    it('keeps the promises if it has arrived', () => {
      addBatch('b1', 5, soon);
      allocate('o1', 5);
      addBatch('b2', 5);
      expect(changeBatch('b1', { eta: null })).toMatchObject({ batch: { eta: null, promised: 5 }, released: [] });
    });

    it('does not move lines of other batches to the one that is earlier now', () => {
      addBatch('b1', 5, soon);
      allocate('o1', 5);
      addBatch('b2', 5, later);
      expect(changeBatch('b2', { eta: null }).released).toEqual([]);
      expect(batchOf('o1')).toBe('b1');
    });

    it('moves lines to batches that are better now if it is later, the oldest promise first', () => {
      addBatch('b1', 6, soon);
      for (const orderId of ['o1', 'o2', 'o3']) allocate(orderId, 2);
      addBatch('b2', 5, later);
      const recorded = eventsOf(() => {
        const change = changeBatch('b1', { eta: latest });
        expect(change.released).toMatchObject([
          { orderId: 'o1', batchRef: 'b1', eta: latest },
          { orderId: 'o2', batchRef: 'b1', eta: latest },
        ]);
        expect(change.reallocated).toMatchObject([
          { orderId: 'o1', batchRef: 'b2', eta: later },
          { orderId: 'o2', batchRef: 'b2', eta: later },
        ]);
        expect(change).toMatchObject({ shortfall: [], batch: { promised: 2, available: 4 } });
      });
      expect(recorded).toEqual([
        'BatchEtaChanged b1',
        'Deallocated o1',
        'Allocated o1',
        'Deallocated o2',
        'Allocated o2',
      ]);
      expect(batchOf('o3')).toBe('b1');
    });

    it('moves lines from the warehouse if the batch turns out to be on its way', () => {
      addBatch('b1', 5);
      allocate('o1', 5);
      addBatch('b2', 5, soon);
      expect(changeBatch('b1', { eta: later }).reallocated).toMatchObject([{ orderId: 'o1', batchRef: 'b2' }]);
    });

    it('does not move lines to batches that are later still', () => {
      addBatch('b1', 5, soon);
      addBatch('b2', 5, latest);
      allocate('o1', 5);
      expect(changeBatch('b1', { eta: later })).toMatchObject({
        released: [],
        reallocated: [],
        batch: { promised: 5 },
      });
    });

    it('does not move a line to a batch of the same date because its reference is higher', () => {
      addBatch('b1', 5, soon);
      addBatch('b2', 5, later);
      allocate('o1', 5);
      expect(changeBatch('b1', { eta: later }).released).toEqual([]);
    });

    it('moves lines up to the first that finds no better batch, so that nobody is overtaken', () => {
      addBatch('b1', 6, soon);
      allocate('o1', 4);
      allocate('o2', 2);
      addBatch('b2', 3, later);
      expect(changeBatch('b1', { eta: latest }).released).toEqual([]);
    });

    it('serves those who wait with what the lines left behind, and tells the batch as it is after that', () => {
      addBatch('b1', 6, soon);
      addBatch('b2', 4, later);
      allocate('o1', 4);
      backorder('o2', 5);
      expect(changeBatch('b1', { eta: latest })).toMatchObject({
        reallocated: [{ orderId: 'o1', batchRef: 'b2' }],
        promised: [{ orderId: 'o2', batchRef: 'b1', eta: latest }],
        batch: { promised: 5, available: 1 },
      });
    });

    it('does nothing if the date is the one that is known', () => {
      addBatch('b1', 6, soon);
      allocate('o1', 2);
      addBatch('b2', 6);
      expect(eventsOf(() => changeBatch('b1', { eta: soon }))).toEqual([]);
    });
  });

  describe('when a batch comes at another time and with another quantity', () => {
    it('looks for better batches by the new date before it releases what no longer fits', () => {
      addBatch('b1', 6, soon);
      for (const orderId of ['o1', 'o2', 'o3']) allocate(orderId, 2);
      addBatch('b2', 2, later);
      expect(changeBatch('b1', { eta: latest, qty: 2 })).toMatchObject({
        batch: { purchased: 2, promised: 2, eta: latest },
        released: [{ orderId: 'o1' }, { orderId: 'o3' }],
        reallocated: [{ orderId: 'o1', batchRef: 'b2' }],
        shortfall: [{ orderId: 'o3' }],
        promised: [],
      });
    });

    it('serves those who wait after both, so that nobody is promised what is taken away at once', () => {
      addBatch('b1', 6, soon);
      addBatch('b2', 4, later);
      allocate('o1', 4);
      backorder('o2', 5);
      expect(changeBatch('b1', { eta: latest, qty: 2 })).toMatchObject({
        released: [{ orderId: 'o1' }],
        shortfall: [],
        promised: [],
      });
      expect(standing('o2')).toMatchObject({ status: 'backordered', displaced: false });
    });

    it('does neither if neither is said', () => {
      addBatch('b1', 6, soon);
      expect(
        eventsOf(() => expect(changeBatch('b1', {})).toMatchObject({ batch: { ref: 'b1' }, released: [] })),
      ).toEqual([]);
    });
  });

  describe('when a batch is cancelled', () => {
    it('promises its lines from others, and lets wait what fits nowhere', () => {
      addBatch('b1', 6);
      allocate('o1', 4);
      allocate('o2', 2);
      addBatch('b2', 2, soon);
      const recorded = eventsOf(() =>
        expect(product.cancelBatch('b1')).toMatchObject({
          batch: { purchased: 6, promised: 0, available: 0, cancelled: true },
          released: [{ orderId: 'o2' }, { orderId: 'o1' }],
          reallocated: [{ orderId: 'o2', batchRef: 'b2' }],
          shortfall: [{ orderId: 'o1' }],
          promised: [],
        }),
      );
      expect(recorded).toEqual([
        'BatchCancelled b1',
        'Deallocated o2',
        'Deallocated o1',
        'Backordered o1',
        'Allocated o2',
      ]);
    });

    it('promises nothing from it any more', () => {
      addBatch('b1', 6);
      product.cancelBatch('b1');
      expect(allocate('o1', 1).status).toBe('refused');
    });

    it('does nothing the second time', () => {
      addBatch('b1', 6);
      product.cancelBatch('b1');
      const recorded = eventsOf(() =>
        expect(product.cancelBatch('b1')).toMatchObject({ batch: { cancelled: true }, released: [], shortfall: [] }),
      );
      expect(recorded).toEqual([]);
    });

    it.each([
      ['quantity', { qty: 7 }],
      ['date', { eta: soon }],
    ])('believes no other %s of it', (_, change) => {
      addBatch('b1', 6);
      product.cancelBatch('b1');
      expect(() => changeBatch('b1', change)).toThrow(
        expect.objectContaining({ code: 'batch-cancelled', kind: 'conflict', details: { ref: 'b1' } }),
      );
    });
  });

  describe('amends a line', () => {
    it('that grows within its batch', () => {
      addBatch('b1', 5);
      allocate('o1', 3, { priority: 4 });
      const recorded = eventsOf(() =>
        expect(amend('o1', 5)).toMatchObject({ qty: 5, batchRef: 'b1', priority: 4, repeated: false }),
      );
      expect(recorded).toEqual(['Deallocated o1', 'Allocated o1']);
      expect(product.recorded.slice(-2).map(({ event }) => event.data)).toMatchObject([
        { qty: 3, batchRef: 'b1', reason: 'amended' },
        { qty: 5, batchRef: 'b1', reason: 'amended' },
      ]);
      expect(batch('b1').promised).toBe(5);
    });

    it('that moves to a batch where it fits', () => {
      addBatch('b1', 5);
      addBatch('b2', 6, soon);
      allocate('o1', 3);
      expect(amend('o1', 6)).toMatchObject({ batchRef: 'b2', eta: soon });
      expect(batch('b1').promised).toBe(0);
    });

    it('that fits into a better batch once it is smaller', () => {
      addBatch('b1', 2);
      addBatch('b2', 6, soon);
      allocate('o1', 3);
      expect(amend('o1', 2)).toMatchObject({ batchRef: 'b1' });
      expect(batch('b2').promised).toBe(0);
    });

    it('all or nothing: the old promise stands if the new quantity cannot be had', () => {
      addBatch('b1', 5);
      addBatch('b2', 5, soon);
      allocate('o1', 3);
      const recorded = eventsOf(() =>
        expect(() => amend('o1', 6)).toThrow(
          expect.objectContaining({
            code: 'out-of-stock',
            kind: 'conflict',
            details: { wanted: 6, line: expect.objectContaining({ orderId: 'o1', qty: 3, status: 'promised' }) },
          }),
        ),
      );
      expect(recorded).toEqual([]);
      expect(standing('o1')).toMatchObject({ qty: 3, status: 'promised', batchRef: 'b1' });
      expect(batch('b1').promised).toBe(3);
    });

    it('to the quantity that it has: nothing happens', () => {
      addBatch('b1', 5);
      allocate('o1', 3);
      expect(eventsOf(() => expect(amend('o1', 3)).toMatchObject({ batchRef: 'b1', repeated: true }))).toEqual([]);
    });

    it('that was refused and fits with its new quantity', () => {
      addBatch('b1', 5);
      allocate('o1', 6);
      expect(eventsOf(() => expect(amend('o1', 5)).toMatchObject({ status: 'promised', batchRef: 'b1' }))).toEqual([
        'Allocated o1',
      ]);
    });

    it('that was refused, as new demand behind those who wait, also if it is smaller now', () => {
      addBatch('b1', 5);
      allocate('o1', 6);
      backorder('o2', 6);
      expect(() => amend('o1', 5)).toThrow(expect.objectContaining({ code: 'out-of-stock' }));
    });

    it('that was refused and stays so if the new quantity cannot be had either', () => {
      addBatch('b1', 5);
      allocate('o1', 9);
      expect(() => amend('o1', 6)).toThrow(expect.objectContaining({ code: 'out-of-stock' }));
      expect(standing('o1')).toMatchObject({ status: 'refused', qty: 9 });
    });

    it('that grows behind those who wait, for more is new demand', () => {
      addBatch('b1', 5);
      allocate('o1', 3);
      backorder('o2', 4);
      expect(() => amend('o1', 4)).toThrow(expect.objectContaining({ code: 'out-of-stock' }));
      expect(batchOf('o1')).toBe('b1');
    });

    it('that grows before those who wait with a lower priority', () => {
      addBatch('b1', 5);
      allocate('o1', 3, { priority: 1 });
      backorder('o2', 4);
      expect(amend('o1', 4)).toMatchObject({ qty: 4, batchRef: 'b1' });
    });

    it('that shrinks, whoever waits', () => {
      addBatch('b1', 5);
      allocate('o1', 3);
      backorder('o2', 4);
      expect(amend('o1', 2)).toMatchObject({ qty: 2, batchRef: 'b1' });
      expect(standing('o2')).toMatchObject({ status: 'backordered' });
    });

    it('only if there is one', () => {
      addBatch('b1', 5);
      expect(() => amend('o1', 2)).toThrow(
        expect.objectContaining({
          code: 'unknown-line',
          kind: 'not-found',
          details: { orderId: 'o1', lineId: '1', sku: 'LAMP' },
        }),
      );
    });

    it.each([0, -1, 2.5])('in whole units, so not to %d', (qty) => {
      addBatch('b1', 5);
      allocate('o1', 3);
      expect(() => amend('o1', qty)).toThrow(expect.objectContaining({ code: 'invalid-quantity' }));
      expect(batch('b1').promised).toBe(3);
    });
  });

  describe('releases', () => {
    it('a promised line, whose units can be promised again', () => {
      addBatch('b1', 5, soon);
      allocate('o1', 5);
      expect(release('o1')).toEqual({
        released: [expect.objectContaining({ orderId: 'o1', qty: 5, status: 'promised', batchRef: 'b1', eta: soon })],
        promised: [],
      });
      expect(lastEvent()).toMatchObject({
        type: 'allocation.deallocated.v1',
        data: { orderId: 'o1', lineId: '1', sku: 'LAMP', qty: 5, batchRef: 'b1', reason: 'released' },
      });
      expect(allocate('o2', 5).batchRef).toBe('b1');
    });

    it('a line, and forgets it: it can be promised anew with another quantity', () => {
      addBatch('b1', 5);
      allocate('o1', 5);
      release('o1');
      expect(allocate('o1', 4)).toMatchObject({ qty: 4, status: 'promised', repeated: false });
    });

    it('several lines before it serves those who wait', () => {
      addBatch('b1', 5);
      allocate('o1', 2);
      allocate('o2', 3);
      backorder('o3', 5);
      const recorded = eventsOf(() => expect(orders(release('o1', 'o2').promised)).toEqual(['o3']));
      expect(recorded).toEqual(['Deallocated o1', 'Deallocated o2', 'Allocated o3']);
    });

    it.each([
      ['is not known', () => undefined],
      ['was released before', () => void (allocate('o1', 2), release('o1'))],
      ['was refused', () => void allocate('o1', 6)],
    ])('nothing of a line that %s', (_, given) => {
      addBatch('b1', 5);
      given();
      expect(eventsOf(() => expect(release('o1')).toEqual({ released: [], promised: [] }))).toEqual([]);
    });
  });

  it('may move 100,000 lines at once', () => {
    expect(Product.maxLinesMovedAtOnce).toBe(100_000);
  });

  describe('refuses a change that would move too many lines at once', () => {
    beforeEach(() => {
      jest.replaceProperty(Product, 'maxLinesMovedAtOnce', 3 as 100_000);
      addBatch('b1', 4, soon);
    });
    afterEach(() => jest.restoreAllMocks());

    const fourPromises = (): void => ['o1', 'o2', 'o3', 'o4'].forEach((orderId) => allocate(orderId, 1));
    const tooMany = expect.objectContaining({
      code: 'too-many-lines',
      kind: 'conflict',
      details: { sku: 'LAMP', limit: 3 },
    });

    it('by a smaller quantity; in steps it goes', () => {
      fourPromises();
      expect(() => changeBatch('b1', { qty: 0 })).toThrow(tooMany);
      expect(changeBatch('b1', { qty: 1 }).released).toHaveLength(3);
      expect(changeBatch('b1', { qty: 0 }).released).toHaveLength(1);
    });

    it('by cancelling', () => {
      fourPromises();
      expect(() => product.cancelBatch('b1')).toThrow(tooMany);
    });

    it('by a later date', () => {
      fourPromises();
      addBatch('b2', 4, later);
      expect(() => changeBatch('b1', { eta: latest })).toThrow(tooMany);
    });

    it('by new stock', () => {
      fourPromises();
      for (const orderId of ['o5', 'o6', 'o7', 'o8']) backorder(orderId, 1);
      expect(() => addBatch('b2', 4)).toThrow(tooMany);
    });

    it('by what it releases and whom it serves together', () => {
      allocate('o1', 4);
      for (const orderId of ['o2', 'o3', 'o4']) backorder(orderId, 1, 1);
      expect(() => changeBatch('b1', { qty: 3 })).toThrow(tooMany);
    });

    it('but not one that moves exactly as many as it may', () => {
      allocate('o1', 4);
      for (const orderId of ['o2', 'o3']) backorder(orderId, 1, 1);
      const { released, promised } = changeBatch('b1', { qty: 3 });
      expect([...orders(released), ...orders(promised)]).toEqual(['o1', 'o2', 'o3']);
    });

    it('but not a later date that moves fewer, however many stay', () => {
      fourPromises();
      addBatch('b2', 9, latest);
      expect(changeBatch('b1', { eta: later })).toMatchObject({ released: [], batch: { promised: 4 } });
    });
  });

  describe('numbers its events', () => {
    it('1, 2, 3 and so on', () => {
      addBatch('b1', 5);
      allocate('o1', 3);
      changeBatch('b1', { qty: 0 });
      release('o1');
      expect(product.recorded.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(product.version).toBe(6);
    });
  });

  describe('copied', () => {
    it('shows nothing of what happens to the copy', () => {
      addBatch('b1', 5);
      allocate('o1', 2);
      const copy = product.copy();
      copy.allocate(line('o2', 'LAMP', 3));
      copy.changeBatch('b1', { eta: soon });
      expect(product.version).toBe(2);
      expect(batch('b1')).toMatchObject({ promised: 2, eta: null });
      expect(standing('o2')).toBeUndefined();
    });

    it('sees of a line that was settled only what the copy made of it', () => {
      addBatch('b1', 6, soon);
      allocate('o1', 2);
      allocate('o2', 4);
      addBatch('b2', 2, later);
      product.settle();
      const { released, shortfall } = product.copy().changeBatch('b1', { eta: latest, qty: 0 });
      expect(orders(released)).toEqual(['o1', 'o2']);
      expect(orders(shortfall)).toEqual(['o2']);
    });

    it('begins with what was settled and records only what is new', () => {
      addBatch('b1', 5);
      allocate('o1', 2);
      product.settle();
      const copy = product.copy();
      expect(copy.recorded).toEqual([]);
      expect(copy.allocate(line('o1', 'LAMP', 2))).toMatchObject({ batchRef: 'b1', repeated: true });
      copy.allocate(line('o2', 'LAMP', 3));
      expect(copy.recorded.map(({ version }) => version)).toEqual([3]);
    });
  });

  describe('of which not everything is loaded', () => {
    const policy = new WarehouseThenEarliestEta();
    const needsOf = (action: () => unknown): unknown => {
      try {
        action();
      } catch (error) {
        if (error instanceof NotLoaded) return error.needs;
        throw error;
      }
      throw new Error('nothing was missing');
    };

    beforeEach(() => {
      product = new Product('LAMP', 9, policy);
      product.know(new Batch({ ref: 'b1', sku: 'LAMP', purchased: 9, promised: 7, eta: null, cancelled: false }));
    });

    it('asks for the line that it is to promise or to release', () => {
      const lines = [{ orderId: 'o1', lineId: '1', sku: 'LAMP' }];
      expect(needsOf(() => allocate('o1', 1))).toEqual({ lines });
      expect(needsOf(() => release('o1'))).toEqual({ lines });
      expect(needsOf(() => amend('o1', 2))).toEqual({ lines });
    });

    it('asks for a batch that it does not see', () => {
      expect(needsOf(() => changeBatch('b2', { qty: 1 }))).toEqual({ refs: ['b2'] });
    });

    it('asks for as many of the newest promises as no longer fit', () => {
      expect(needsOf(() => changeBatch('b1', { qty: 3 }))).toEqual({
        newestOf: [{ sku: 'LAMP', ref: 'b1', untilQty: 4 }],
      });
    });

    it('asks for as many of those who wait as it could serve', () => {
      const loaded = new LoadedLines();
      loaded.queue = { lines: [OrderLine.waiting(line('o1', 'LAMP', 1), 0, false, 3)], untilQty: 1 };
      product = new Product('LAMP', 9, policy, new Map(), new LineBook('LAMP', loaded));
      const { backorders } = needsOf(() => addBatch('b1', 50)) as ProductNeeds;
      expect(backorders).toMatchObject([{ sku: 'LAMP' }]);
      expect(backorders![0]!.untilQty).toBeGreaterThan(50);
      loaded.queue = { lines: loaded.queue.lines, untilQty: 51 };
      expect(orders(product.copy().addBatch({ ref: 'b2', sku: 'LAMP', qty: 50, eta: null }).promised)).toEqual(['o1']);
    });

    it('does not replace a batch that it has changed by one that is loaded later', () => {
      changeBatch('b1', { qty: 7 });
      product.know(new Batch({ ref: 'b1', sku: 'LAMP', purchased: 1, promised: 0, eta: null, cancelled: false }));
      expect(batch('b1').purchased).toBe(7);
    });
  });
});
