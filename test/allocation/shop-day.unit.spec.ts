import {
  Allocate,
  AllocateOrder,
  ChangeBatch,
  CreateBatch,
  ReleaseOrder,
} from '../../src/allocation/contract/commands';
import { type DayCommand, ShopDay, type ShopDayOptions } from '../../src/allocation/cli/shop-day';
import { idPattern } from '../../src/platform/http/fields';
import { inOrder } from '../../src/platform/in-order';

const options = { seed: 5, orders: 4_000, skus: 300, prefix: 'p', today: new Date('2026-06-01') };
const all = (changed: Partial<ShopDayOptions> = {}): DayCommand[] => {
  const day = new ShopDay({ ...options, ...changed });
  return [...day.morning(), ...day.day()];
};

describe('A day of a shop', () => {
  const commands = all();
  const orders = commands.flatMap((command) => {
    if (command instanceof AllocateOrder) return [command.lines];
    return command instanceof Allocate ? [[command.line]] : [];
  });
  const quantile = (values: number[], share: number): number =>
    values.sort((a, b) => a - b)[Math.floor(values.length * share)]!;

  it('is the same for the same seed, and another for another', () => {
    const short = { orders: 200 };
    expect(all(short)).toEqual(all(short));
    expect(all({ ...short, seed: 6 })).not.toEqual(all(short));
  });

  it('has the shape of a shop’s orders', () => {
    const lines = orders.map((order) => order.length);
    const units = orders.flat().map(({ qty }) => qty);
    expect(orders).toHaveLength(options.orders);
    for (const [values, half, nine, ninetynine] of [
      [lines, 10, 47, 193],
      [units, 3, 24, 100],
    ] as const) {
      expect(Math.abs(quantile([...values], 0.5) / half - 1)).toBeLessThan(0.15);
      expect(Math.abs(quantile([...values], 0.9) / nine - 1)).toBeLessThan(0.15);
      expect(Math.abs(quantile([...values], 0.99) / ninetynine - 1)).toBeLessThan(0.15);
    }
    const wanted = new Map<string, number>();
    for (const { sku } of orders.flat()) wanted.set(sku, (wanted.get(sku) ?? 0) + 1);
    const most = [...wanted.values()].sort((a, b) => b - a);
    const share = (skus: number): number => most.slice(0, skus).reduce((sum, n) => sum + n, 0) / orders.flat().length;
    expect(share(3)).toBeCloseTo(0.1, 1);
    expect(share(30)).toBeCloseTo(0.45, 1);
  });

  it('names each line once in its order, and everything by ids that are allowed', () => {
    const named: string[] = [];
    for (const order of orders.slice(0, 100)) {
      const ids = order.map(({ sku, lineId }) => `${sku} ${lineId}`);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { sku, orderId, lineId } of order) named.push(sku, orderId, lineId);
    }
    expect(named.filter((id) => !idPattern.test(id))).toEqual([]);
    const refs = commands.flatMap((command) => (command instanceof CreateBatch ? [command.ref] : []));
    expect(new Set(refs).size).toBe(refs.length);
  });

  it('refers only to what is done when it is its turn', () => {
    const day = new ShopDay(options);
    const places = new Map<string, number>(
      [...day.morning()].map((batch) => [(batch as CreateBatch).ref, -day.atOnce]),
    );
    const tooSoon: string[] = [];
    for (const [place, command] of [...day.day()].entries()) {
      if (command instanceof CreateBatch) places.set(command.ref, place);
      else if (command instanceof AllocateOrder) places.set(command.orderId, place);
      else if (command instanceof Allocate) places.set(command.line.orderId, place);
      else {
        const id =
          command instanceof ReleaseOrder ? command.orderId : 'ref' in command ? command.ref : command.line.orderId;
        if (place - places.get(id)! < day.atOnce) tooSoon.push(id);
      }
    }
    expect(tooSoon).toEqual([]);
  });

  it.each([1, 2, 9])('can be as small as %s orders over as many SKUs', (size) => {
    const small = all({ orders: size, skus: size });
    expect(small.filter((command) => command instanceof ChangeBatch).length).toBeLessThan(size * 4);
    expect(small.length).toBeGreaterThan(2 * size);
  });
});

describe('inOrder', () => {
  it('works so many at once, and answers in order', async () => {
    let underWay = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      most = Math.max(most, ++underWay);
      await new Promise((done) => setTimeout(done, (7 * n) % 5));
      underWay -= 1;
      return n;
    };
    const results: number[] = [];
    for await (const n of inOrder([1, 2, 3, 4, 5, 6, 7, 8, 9], 3, work)) results.push(n);
    expect(results).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(most).toBe(3);
  });

  it('fails in its turn, once everything under way has ended', async () => {
    let ended = 0;
    const work = async (n: number): Promise<number> => {
      await new Promise((done) => setTimeout(done, 5 * n));
      ended += 1;
      if (n === 2) throw new Error('two');
      return n;
    };
    const results: number[] = [];
    await expect(
      (async () => {
        for await (const n of inOrder([1, 2, 3, 4], 4, work)) results.push(n);
      })(),
    ).rejects.toThrow('two');
    expect({ results, ended }).toEqual({ results: [1], ended: 4 });
  });
});
