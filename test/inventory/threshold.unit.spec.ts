import fc from 'fast-check';
import { ThresholdRemoved, ThresholdSet } from '../../src/inventory/contract/events';
import type { ThresholdState } from '../../src/inventory/contract/queries';
import {
  decidingAmong,
  isLow,
  isOfMany,
  matches,
  prefixOf,
  usualClearAt,
} from '../../src/inventory/domain/reorder-point';
import { StockWatch } from '../../src/inventory/domain/stock-watch';
import { InvalidClearAt, Threshold, UnknownThreshold } from '../../src/inventory/domain/threshold';

/** Few characters, so that they often match. */
const sku = fc.stringMatching(/^[ab.]{1,8}$/);
const pattern = fc.stringMatching(/^(\*?[ab.]{1,2}){1,4}\*?$/);

describe('A pattern of SKUs', () => {
  it.each([
    ['TABLE-*', 'TABLE-OAK', true],
    ['TABLE-*', 'TABLE-', true],
    ['TABLE-*', 'SMALL-TABLE-OAK', false],
    ['*-TABLE', 'SMALL-TABLE', true],
    ['*', 'ANYTHING', true],
    ['A*B*C', 'A-C-B-C', true],
    ['A*B*C', 'A-C-B', false],
    ['A*A', 'A', false],
    ['A*B*B', 'AB', false],
    ['A.B', 'AxB', false],
    ['LAMP', 'LAMP', true],
    ['LAMP', 'LAMPS', false],
  ])('%s matches %s: %s', (of, candidate, expected) => {
    expect(matches(of, candidate)).toBe(expected);
  });

  it('matches what a regular expression would', () => {
    const expression = (of: string) => new RegExp(`^${of.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
    fc.assert(
      fc.property(pattern, sku, (of, candidate) => {
        expect(matches(of, candidate)).toBe(expression(of).test(candidate));
      }),
      { numRuns: 2_000 },
    );
  });

  it('matches only SKUs that begin with its prefix', () => {
    fc.assert(
      fc.property(pattern, sku, (of, candidate) => {
        fc.pre(matches(of, candidate));
        expect(candidate.startsWith(prefixOf(of))).toBe(true);
      }),
    );
  });

  it('answers at once, however many asterisks it has', () => {
    expect(matches(`${'*a'.repeat(31)}*b`, 'a'.repeat(64))).toBe(false);
  });
});

describe('Of several thresholds', () => {
  const decides = (candidate: string, ...patterns: string[]) =>
    decidingAmong(patterns.map((of) => ({ pattern: of })))(candidate)?.pattern;

  it('the one of the SKU itself decides', () => {
    expect(decides('TABLE-1', 'TABLE-*', 'TABLE-1', '*')).toBe('TABLE-1');
  });

  it('otherwise the one with the most characters that are not asterisks', () => {
    expect(decides('TABLE-OAK-1', '*', 'TABLE-*', '*-OAK-*', 'TABLE-*-1')).toBe('TABLE-*-1');
  });

  it('and of equal ones the first in order', () => {
    expect(decides('AB', 'A*', '*B')).toBe('*B');
    expect(decides('AB', '*B', 'A*')).toBe('*B');
  });

  it('none decides about a SKU that none matches', () => {
    expect(decides('SOFA', 'TABLE-*', 'LAMP')).toBeUndefined();
  });

  it('the same decides, in whichever order they come, and it matches', () => {
    fc.assert(
      fc.property(sku, fc.uniqueArray(fc.oneof(pattern, sku), { maxLength: 8 }), (candidate, patterns) => {
        const decision = decides(candidate, ...patterns);
        expect(decides(candidate, ...patterns.toReversed())).toBe(decision);
        expect(decision === undefined).toBe(!patterns.some((of) => matches(of, candidate)));
        if (decision === undefined) return;
        const length = (of: string) => (of === candidate ? Infinity : of.replaceAll('*', '').length);
        const matching = patterns.filter((of) => matches(of, candidate));
        expect(length(decision)).toBe(Math.max(...matching.map(length)));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('A threshold', () => {
  const set = (...args: Parameters<Threshold['set']>) => {
    const threshold = new Threshold('TABLE-*');
    return { threshold, state: threshold.set(...args) };
  };

  it.each([
    [0, 1],
    [1, 2],
    [10, 11],
    [11, 13],
    [200, 220],
    [2_147_483_647, 2_362_232_012],
  ])('at %i recovers at %i where nothing is said', (reorderPoint, clearAt) => {
    expect(usualClearAt(reorderPoint)).toBe(clearAt);
    expect(set(reorderPoint).state).toEqual({ pattern: 'TABLE-*', reorderPoint, clearAt });
  });

  it('recovers above its reorder point', () => {
    expect(() => set(10, 10)).toThrow(InvalidClearAt);
    expect(set(10, 11).state.clearAt).toBe(11);
  });

  it('records what changed, and nothing if nothing did', () => {
    const { threshold } = set(10);
    threshold.set(10);
    threshold.set(10, 11);
    threshold.set(10, 15);
    expect(threshold.recorded).toEqual([
      { version: 1, event: new ThresholdSet({ pattern: 'TABLE-*', reorderPoint: 10, clearAt: 11 }) },
      { version: 2, event: new ThresholdSet({ pattern: 'TABLE-*', reorderPoint: 10, clearAt: 15 }) },
    ]);
  });

  it('can be removed once, and set again', () => {
    const { threshold, state } = set(10);
    expect(threshold.remove()).toEqual(state);
    expect(() => threshold.remove()).toThrow(UnknownThreshold);
    threshold.set(10);
    expect(threshold.recorded.map(({ event }) => event.constructor)).toEqual([
      ThresholdSet,
      ThresholdRemoved,
      ThresholdSet,
    ]);
  });
});

describe('Stock', () => {
  const threshold: ThresholdState = { pattern: 'LAMP', reorderPoint: 10, clearAt: 15 };

  it.each([
    [false, 11, false],
    [false, 10, true],
    [false, 0, true],
    [true, 11, true],
    [true, 14, true],
    [true, 15, false],
  ])('that was low (%s) and is at %i units is low: %s', (was, available, is) => {
    expect(isLow(was, available, threshold)).toBe(is);
  });

  it('is not low without a threshold', () => {
    expect(isLow(true, 0, undefined)).toBe(false);
  });

  it('tells patterns from SKUs', () => {
    expect([isOfMany('LAMP'), isOfMany('LAMP*')]).toEqual([false, true]);
  });
});

describe('StockWatch', () => {
  const threshold: ThresholdState = { pattern: 'LA*', reorderPoint: 10, clearAt: 15 };
  const told = (watch: StockWatch) =>
    watch.recorded.map(
      ({ version, event }) => `${version} ${event.type.split(/[.-]/)[2]} ${JSON.stringify(event.data)}`,
    );

  it('tells once that stock is low, and once that it has recovered', () => {
    const watch = new StockWatch('LAMP');
    for (const [at, available] of [20, 10, 9, 14, 10, 15, 11].entries())
      watch.judge({ version: at + 1, available }, threshold);
    expect(told(watch)).toEqual([
      '1 low {"sku":"LAMP","available":10,"skuVersion":2,"pattern":"LA*","reorderPoint":10,"clearAt":15}',
      '2 recovered {"sku":"LAMP","available":15,"skuVersion":6,"clearAt":15}',
    ]);
  });

  it('goes on where it stood', () => {
    const watch = new StockWatch('LAMP', 1, true, 2);
    watch.judge({ version: 3, available: 5 }, threshold);
    expect(told(watch)).toEqual([]);
    watch.judge({ version: 4, available: 50 }, threshold);
    expect(told(watch)).toEqual(['2 recovered {"sku":"LAMP","available":50,"skuVersion":4,"clearAt":15}']);
  });

  it('ignores what is older than the last crossing', () => {
    const watch = new StockWatch('LAMP', 2, false, 7);
    watch.judge({ version: 6, available: 0 }, threshold);
    expect(told(watch)).toEqual([]);
  });

  it('judges the same stock anew by another threshold', () => {
    const watch = new StockWatch('LAMP');
    watch.judge({ version: 3, available: 20 }, threshold);
    watch.judge({ version: 3, available: 20 }, { ...threshold, reorderPoint: 20, clearAt: 30 });
    watch.judge({ version: 3, available: 20 }, threshold);
    watch.judge({ version: 3, available: 20 }, undefined);
    expect(told(watch).map((text) => text.split(' ')[1])).toEqual(['low', 'recovered']);
  });

  it('says that no threshold applies any more', () => {
    const watch = new StockWatch('LAMP', 1, true, 3);
    watch.judge({ version: 3, available: 0 }, undefined);
    expect(told(watch)).toEqual(['2 recovered {"sku":"LAMP","available":0,"skuVersion":3,"clearAt":null}']);
  });

  it('tells as often as stock falls from above clearAt to the reorder point, whatever it does in between', () => {
    const levels = fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 60 });
    fc.assert(
      fc.property(levels, (seen) => {
        const watch = new StockWatch('LAMP');
        for (const [at, available] of seen.entries()) watch.judge({ version: at + 1, available }, threshold);
        // A word of the levels that matter: L for low, H for high, nothing between.
        const word = seen.map((units) => (units <= 10 ? 'L' : units >= 15 ? 'H' : '')).join('');
        const crossings = word.replace(/^H+/, '').replaceAll(/L+/g, 'L').replaceAll(/H+/g, 'H');
        expect(watch.recorded.map(({ event }) => (event.type.includes('low') ? 'L' : 'H')).join('')).toBe(crossings);
        expect(watch.recorded.map(({ version }) => version)).toEqual([...crossings].map((_, place) => place + 1));
      }),
    );
  });
});
