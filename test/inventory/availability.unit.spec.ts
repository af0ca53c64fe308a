import * as fc from 'fast-check';
import {
  availability,
  dayAsOf,
  daysAfter,
  earliestLine,
  InvalidRange,
  rangeOf,
} from '../../src/inventory/domain/availability';
import { type RecordedBatch, stockOf } from '../../src/inventory/domain/stock-levels';

const today = '2026-11-22';
const day = (days: number): string => daysAfter(today, days);
const batch = (ref: string, purchased: number, promised: number, eta: string | null): RecordedBatch => ({
  ref,
  sku: 'LAMP',
  purchased,
  promised,
  eta,
  cancelled: false,
});
const stockWith = (batches: readonly RecordedBatch[]) =>
  stockOf({ sku: 'LAMP', version: 9, backordered: 0, batches }, today);
const availabilityOf = (batches: readonly RecordedBatch[], from = 0, to = 6, qty = 1) => {
  const stock = stockWith(batches);
  return availability(stock, { from: day(from), to: day(to) }, today, earliestLine(stock, qty, today));
};

describe('Availability by day', () => {
  const example = [
    batch('warehouse', 20, 18, null),
    batch('ship-2', 10, 0, day(2)),
    batch('ship-4', 1, 0, day(4)),
    batch('ship-5', 3, 0, day(5)),
  ];

  it('adds up what nobody was promised, from the day on which it arrives', () => {
    const { days, free } = availabilityOf(example);
    expect(days.map(({ available }) => available)).toEqual([2, 2, 12, 12, 13, 16, 16]);
    expect(days.map(({ largestLine }) => largestLine)).toEqual([2, 2, 10, 10, 10, 10, 10]);
    expect(days.map(({ date }) => date)).toEqual([0, 1, 2, 3, 4, 5, 6].map(day));
    expect(free.map(({ batchRef, units, countedFrom }) => [batchRef, units, countedFrom])).toEqual([
      ['warehouse', 2, day(0)],
      ['ship-2', 10, day(2)],
      ['ship-4', 1, day(4)],
      ['ship-5', 3, day(5)],
    ]);
  });

  it('never splits a line', () => {
    const stock = stockWith(example);
    expect(earliestLine(stock, 2, today)).toEqual({ qty: 2, batchRef: 'warehouse', date: day(0) });
    expect(earliestLine(stock, 10, today)).toEqual({ qty: 10, batchRef: 'ship-2', date: day(2) });
    expect(earliestLine(stock, 13, today)).toEqual({ qty: 13, batchRef: null, date: null });
  });

  it('counts what is late from today, behind the warehouse', () => {
    const late = [batch('a-late', 5, 0, day(-3)), batch('z-warehouse', 5, 0, null)];
    const { days, free, earliest } = availabilityOf(late, 0, 1, 5);
    expect(days.map(({ available }) => available)).toEqual([10, 10]);
    expect(free).toEqual([
      { batchRef: 'z-warehouse', units: 5, eta: null, late: false, countedFrom: today },
      { batchRef: 'a-late', units: 5, eta: day(-3), late: true, countedFrom: today },
    ]);
    expect(earliest).toEqual({ qty: 5, batchRef: 'z-warehouse', date: today });
  });

  it('has nothing on days that have passed, and everything of before in a range to come', () => {
    expect(availabilityOf(example, -2, 0).days.map(({ available }) => available)).toEqual([0, 0, 2]);
    expect(availabilityOf(example, 4, 5).days.map(({ available }) => available)).toEqual([13, 16]);
    expect(availabilityOf(example, 4, 5).free).toHaveLength(4);
    expect(availabilityOf(example, 0, 1).free).toHaveLength(1);
  });

  it('leaves out what is cancelled or promised to the last unit', () => {
    const none = [batch('gone', 5, 5, null), { ...batch('recalled', 5, 0, null), cancelled: true }];
    expect(availabilityOf(none)).toMatchObject({ free: [], earliest: { batchRef: null, date: null } });
    expect(availabilityOf(none).days.every(({ available }) => available === 0)).toBe(true);
  });

  it('is, on every day and for every line, what the batches that count by then have', () => {
    const someBatch = fc
      .record({
        purchased: fc.nat(20),
        promised: fc.nat(20),
        eta: fc.option(fc.integer({ min: -5, max: 12 }), { nil: null }),
        cancelled: fc.boolean(),
      })
      .map(({ purchased, promised, eta, cancelled }) => ({
        purchased: purchased + promised,
        promised: cancelled ? 0 : promised,
        eta: eta === null ? null : day(eta),
        cancelled,
      }));
    const range = fc.tuple(fc.integer({ min: -3, max: 8 }), fc.nat(10));
    fc.assert(
      fc.property(fc.array(someBatch), range, fc.integer({ min: 1, max: 45 }), (some, [from, length], qty) => {
        const batches = some.map((one, place) => ({ ...one, ref: `b${place}`, sku: 'LAMP' }));
        const { days } = availabilityOf(batches, from, from + length);
        expect(days).toHaveLength(length + 1);
        const freeOn = (date: string): number[] =>
          batches
            .filter(({ eta, cancelled }) => !cancelled && date >= today && (eta === null || eta <= date))
            .map(({ purchased, promised }) => purchased - promised);
        for (const { date, available, largestLine } of days) {
          const free = freeOn(date);
          expect(available).toBe(free.reduce((sum, units) => sum + units, 0));
          expect(largestLine).toBe(Math.max(0, ...free));
        }
        const first = Array.from({ length: 13 }, (_, place) => day(place)).find((date) =>
          freeOn(date).some((units) => units >= qty),
        );
        expect(earliestLine(stockWith(batches), qty, today).date).toBe(first ?? null);
      }),
    );
  });
});

describe('A range of days', () => {
  it('is today and the 30 days after it, unless it is said', () => {
    expect(rangeOf({}, today)).toEqual({ from: today, to: '2026-12-22' });
    expect(rangeOf({ from: '2027-02-01' }, today)).toEqual({ from: '2027-02-01', to: '2027-03-03' });
    expect(rangeOf({ to: today }, today)).toEqual({ from: today, to: today });
    expect(rangeOf({ from: '9999-12-20' }, today)).toEqual({ from: '9999-12-20', to: '9999-12-31' });
  });

  it('has 366 days at most, and does not end before it begins', () => {
    expect(rangeOf({ from: '2028-01-01', to: '2028-12-31' }, today)).toEqual({ from: '2028-01-01', to: '2028-12-31' });
    for (const range of [
      { from: '2028-01-01', to: '2029-01-01' },
      { from: '2026-12-24', to: '2026-12-23' },
      { to: '2026-11-21' },
    ])
      expect(() => rangeOf(range, today)).toThrow(InvalidRange);
  });

  it('goes over months, leap days and the hours of summer time', () => {
    expect(daysAfter('2028-02-28', 2)).toBe('2028-03-01');
    expect(daysAfter('2026-03-28', 2)).toBe('2026-03-30');
    expect(daysAfter('2026-12-31', 1)).toBe('2027-01-01');
  });

  it('begins as of an instant with its day, and never in the future', () => {
    expect(dayAsOf('2026-11-20T23:59:59.999999Z', today)).toBe('2026-11-20');
    expect(dayAsOf('2027-01-01T00:00:00Z', today)).toBe(today);
  });
});
