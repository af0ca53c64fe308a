import { Batch } from '../../src/allocation/domain/batch';
import { line } from '../support/allocation-commands';

const lamps = (purchased: number, promised = 0): Batch =>
  new Batch({ ref: 'b1', sku: 'LAMP', purchased, promised, eta: null, cancelled: false });

describe('Batch', () => {
  it('has available what it holds and has not promised', () => {
    expect(lamps(20, 2).available).toBe(18);
  });

  it.each([
    ['takes a line of fewer units than it has available', 3, true],
    ['takes a line of exactly the units that it has available', 4, true],
    ['does not take a line of one unit more, nor a part of it', 5, false],
  ])('%s', (_, qty, can) => {
    expect(lamps(10, 6).canTake(line('o1', 'LAMP', qty))).toBe(can);
  });

  it('does not take a line of another SKU', () => {
    expect(lamps(10).canTake(line('o1', 'SOFA', 1))).toBe(false);
  });

  it('has less available after a promise and as much as before after its release', () => {
    const batch = lamps(10);
    batch.promise(line('o1', 'LAMP', 4));
    expect(batch.state()).toMatchObject({ purchased: 10, promised: 4, available: 6 });
    batch.release(line('o1', 'LAMP', 4));
    expect(batch.state()).toMatchObject({ purchased: 10, promised: 0, available: 10 });
  });

  it('cannot promise more than it holds', () => {
    const batch = lamps(10, 8);
    expect(() => batch.promise(line('o1', 'LAMP', 3))).toThrow(RangeError);
    expect(batch.promised).toBe(8);
  });

  it('cannot take back what it has not promised', () => {
    const batch = lamps(10, 2);
    expect(() => batch.release(line('o1', 'LAMP', 3))).toThrow(RangeError);
    expect(batch.promised).toBe(2);
  });

  it('can shrink to exactly what it has promised and no further', () => {
    const batch = lamps(10, 6);
    expect(() => batch.changeQuantity(5)).toThrow(RangeError);
    batch.changeQuantity(6);
    expect(batch.state()).toMatchObject({ purchased: 6, available: 0 });
  });

  it('cannot be cancelled while it has promises', () => {
    const batch = lamps(10, 1);
    expect(() => batch.cancel()).toThrow(RangeError);
    expect(batch.cancelled).toBe(false);
  });

  it('has nothing available once it is cancelled, and takes no line', () => {
    const batch = lamps(10);
    batch.cancel();
    expect(batch.state()).toMatchObject({ purchased: 10, available: 0, cancelled: true });
    expect(batch.canTake(line('o1', 'LAMP', 1))).toBe(false);
  });

  it('does not see what happens to its copy', () => {
    const batch = lamps(10, 1);
    const copy = batch.copy();
    copy.promise(line('o1', 'LAMP', 4));
    copy.changeEta('2031-01-01');
    copy.changeQuantity(7);
    expect(batch.state()).toEqual(lamps(10, 1).state());
    expect(copy.state()).toMatchObject({ purchased: 7, promised: 5, eta: '2031-01-01' });
  });
});
