import { type RecordedBatch, stockOf } from '../../src/inventory/domain/stock-levels';

const today = '2026-11-22';
const batch = (
  ref: string,
  purchased: number,
  promised: number,
  eta: string | null,
  cancelled = false,
): RecordedBatch => ({
  ref,
  sku: 'LAMP',
  purchased,
  promised,
  eta,
  cancelled,
});
const recorded = (batches: RecordedBatch[]) => ({ sku: 'LAMP', version: 7, backordered: 5, batches });
const stock = (...batches: RecordedBatch[]) => stockOf(recorded(batches), today);

describe('The levels of a SKU', () => {
  it('tell the warehouse from what is inbound, and what is left of both', () => {
    const levels = stock(batch('a', 20, 18, null), batch('b', 10, 3, '2026-12-01'), batch('c', 4, 0, '2026-11-25'));
    expect(levels).toMatchObject({
      sku: 'LAMP',
      version: 7,
      onHand: 20,
      inbound: 14,
      promised: 21,
      available: 13,
      backordered: 5,
      nextArrival: '2026-11-25',
      lateUnits: 0,
    });
    expect(levels.batches.map(({ ref, available }) => [ref, available])).toEqual([
      ['a', 2],
      ['b', 7],
      ['c', 4],
    ]);
  });

  it('leave out what is cancelled, but show it', () => {
    const levels = stock(batch('a', 20, 0, null, true), batch('b', 10, 0, '2026-11-01', true));
    expect(levels).toMatchObject({ onHand: 0, inbound: 0, available: 0, nextArrival: null, lateUnits: 0 });
    expect(levels.batches).toMatchObject([
      { ref: 'a', purchased: 20, available: 0, cancelled: true, late: false },
      { ref: 'b', purchased: 10, available: 0, cancelled: true, late: false },
    ]);
  });

  it('show what is late from the day after its ETA on, and count it as inbound', () => {
    const levels = stock(batch('a', 3, 1, '2026-11-21'), batch('b', 5, 0, today));
    expect(levels).toMatchObject({ inbound: 8, available: 7, nextArrival: '2026-11-21', lateUnits: 3 });
    expect(levels.batches.map(({ late }) => late)).toEqual([true, false]);
  });

  it('count all batches where not all are shown, and leave out closed ones first', () => {
    const batches = [
      batch('a', 3, 3, null),
      batch('b', 3, 3, '2026-12-01'),
      batch('c', 3, 0, null, true),
      batch('d', 3, 2, null),
    ];
    const shown = (most: number) => stockOf(recorded(batches), today, most);
    expect(shown(3)).toMatchObject({ batchCount: 4, onHand: 6, inbound: 3, promised: 8, available: 1 });
    expect(
      [4, 3, 2, 1].map((most) =>
        shown(most)
          .batches.map(({ ref }) => ref)
          .join(''),
      ),
    ).toEqual(['abcd', 'abd', 'bd', 'b']);
  });
});
