import fc from 'fast-check';
import { Id, Instant, IsoDate, Limit, Quantity, StockQuantity } from '../../src/platform/http/fields';

const takes = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown) =>
  schema.safeParse(value).success;

describe('An id', () => {
  it.each(['a', '7', 'SMALL-TABLE', 'sku--3f2a1b', 'order:2026.11_22', 'x'.repeat(64)])('may be %s', (id) => {
    expect(takes(Id, id)).toBe(true);
  });

  it.each([
    '',
    ' ',
    '-a',
    '.a',
    'a b',
    'a\u0000',
    'a\n',
    'a/b',
    'ä',
    '\u202eabc',
    '\ud800',
    'x'.repeat(65),
    5,
    null,
    ['a'],
  ])('may not be %j', (id) => {
    expect(takes(Id, id)).toBe(false);
  });
});

describe('A quantity', () => {
  it.each([1, 2, 2_147_483_647])('may be %d', (quantity) => expect(takes(Quantity, quantity)).toBe(true));

  it.each([0, -1, 1.5, '5', true, null, 2 ** 31, 2 ** 53, Infinity, NaN, [1], {}])('may not be %p', (quantity) => {
    expect(takes(Quantity, quantity)).toBe(false);
  });

  it('may be none for stock', () => {
    expect(takes(StockQuantity, 0)).toBe(true);
    expect(takes(StockQuantity, -1)).toBe(false);
  });
});

describe('A date', () => {
  it('may be every day from 1970 to 9999', () => {
    const days = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(fc.property(days, (day) => takes(IsoDate, day.toISOString().slice(0, 10))));
  });

  it.each([
    '2026-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-04-31',
    '1969-12-31',
    '26-01-01',
    '2026-1-1',
    '2026-01-01T00:00',
    '',
    null,
    20260101,
  ])('may not be %j', (date) => expect(takes(IsoDate, date)).toBe(false));
});

describe('An instant', () => {
  it('may be every moment from 1970 to 9999, in UTC', () => {
    const moments = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(fc.property(moments, (moment) => takes(Instant, moment.toISOString())));
    expect(takes(Instant, '2028-02-29T23:59:59.999999Z')).toBe(true);
  });

  it.each([
    '2026-02-29T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+01:00',
    '2026-01-01T00:00:00.1234567Z',
    '1969-12-31T23:59:59Z',
    '2026-01-01',
    'now',
    'infinity',
    '',
    null,
  ])('may not be %j', (instant) => expect(takes(Instant, instant)).toBe(false));
});

describe('A limit', () => {
  it('is 50 unless it is given', () => expect(Limit.parse(undefined)).toBe(50));

  it.each([
    ['1', 1],
    ['200', 200],
  ])('may be %s', (text, limit) => expect(Limit.parse(text)).toBe(limit));

  it.each(['0', '201', '-1', '1.5', '', 'many', ['1', '2']])('may not be %j', (limit) =>
    expect(takes(Limit, limit)).toBe(false),
  );
});
