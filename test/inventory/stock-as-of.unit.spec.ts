import * as fc from 'fast-check';
import * as events from '../../src/allocation/contract/events';
import type { LinePlace } from '../../src/inventory/contract/queries';
import { PromisedLines } from '../../src/inventory/domain/promised-lines';
import { sentenceOf } from '../../src/inventory/domain/stock-change';
import { StockHistory } from '../../src/inventory/domain/stock-history';
import { changeOf } from '../../src/inventory/queries/replay';
import type { StoredEvent } from '../../src/platform/event-log/stored-event';

const stored = (type: string, data: object = {}): StoredEvent =>
  ({ stream: 'product:LAMP', version: 3, type, data }) as unknown as StoredEvent;

describe('The history of stock', () => {
  it('understands every event of allocation, and refuses what it does not know', () => {
    const { productEvents } = events;
    const classes = Object.values(events).filter((exported) => 'type' in exported);
    expect(new Set<unknown>(productEvents)).toEqual(new Set(classes));
    for (const { type } of productEvents) expect(sentenceOf(changeOf(stored(type)))).toMatch(/^(Batch|Line) .+\.$/);
    expect(() => changeOf(stored('allocation.eaten.v1'))).toThrow('product:LAMP version 3: allocation.eaten.v1');
  });

  it('refuses changes that cannot follow those before', () => {
    const history = new StockHistory('LAMP');
    const created = { kind: 'batch-created', ref: 'b1', qty: 5, eta: null } as const;
    expect(() => history.apply(2, created)).toThrow(RangeError);
    history.apply(1, created);
    expect(() => history.apply(1, { kind: 'batch-cancelled', ref: 'b1' })).toThrow(RangeError);
    expect(() => history.apply(2, created)).toThrow('b1 of LAMP is created again');
    expect(() => new StockHistory('LAMP').apply(1, { kind: 'batch-cancelled', ref: 'b2' })).toThrow('no batch b2');
  });

  it('tells what waits by the last quantity that was said', () => {
    const history = new StockHistory('LAMP');
    const line = { orderId: 'o1', lineId: '1' };
    history.apply(1, { kind: 'batch-created', ref: 'b1', qty: 5, eta: '2026-12-24' });
    history.apply(2, { ...line, kind: 'waiting', qty: 9, reason: 'out-of-stock' });
    history.apply(3, { ...line, kind: 'waiting', qty: 4, reason: 'amended' });
    expect(history.numbers).toEqual({ onHand: 0, inbound: 5, promised: 0, available: 5, backordered: 4 });
    history.apply(4, { ...line, kind: 'promised', qty: 4, batchRef: 'b1', reason: 'backorder-served' });
    expect(history.numbers).toEqual({ onHand: 0, inbound: 5, promised: 4, available: 1, backordered: 0 });
  });
});

describe('Promised lines', () => {
  const place = fc.record({
    orderId: fc.constantFrom('a', 'a-b', 'a.b', 'a:b', 'ab', 'b', 'Z', '0'),
    lineId: fc.constantFrom('1', '2', '10'),
  });
  const named = ({ orderId, lineId }: LinePlace): string => `${orderId}, ${lineId}`;
  const inOrder = (a: LinePlace, b: LinePlace): number =>
    a.orderId === b.orderId ? (a.lineId < b.lineId ? -1 : 1) : a.orderId < b.orderId ? -1 : 1;

  it('are all found, each once and in order, page by page, however few are kept', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ place, gone: fc.boolean() }), { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        (changes, kept, limit) => {
          const expected = new Map<string, LinePlace>();
          for (const { place, gone } of changes)
            if (gone) expected.delete(named(place));
            else expected.set(named(place), place);
          const found: LinePlace[] = [];
          for (let from: LinePlace | undefined, pages = 0; ; pages += 1) {
            const lines = new PromisedLines(from, kept);
            for (const { place, gone } of changes) {
              const line = { ...place, qty: 1, batchRef: 'b1' };
              if (gone) lines.apply({ ...line, kind: 'released', reason: 'released' });
              else lines.apply({ ...line, kind: 'promised', reason: 'requested' });
            }
            const page = lines.page(limit);
            expect(page.lines.length).toBeLessThanOrEqual(limit);
            found.push(...page.lines);
            if (page.next === null) break;
            expect(pages).toBeLessThan(100);
            from = page.next;
          }
          expect(found.map(named)).toEqual([...expected.values()].sort(inOrder).map(named));
        },
      ),
    );
  });

  it('are as few as are kept, whatever comes', () => {
    const lines = new PromisedLines(undefined, 10);
    for (let n = 9_999; n >= 0; n -= 1) {
      const orderId = `o${String(n).padStart(4, '0')}`;
      lines.apply({ kind: 'promised', orderId, lineId: '1', qty: 1, batchRef: 'b1', reason: 'requested' });
    }
    const { lines: all, next } = lines.page(1_000);
    expect(all.length).toBeLessThanOrEqual(20);
    expect(all[0]).toMatchObject({ orderId: 'o0000' });
    expect(next).toEqual({ orderId: `o${String(all.length).padStart(4, '0')}`, lineId: '1' });
  });
});
