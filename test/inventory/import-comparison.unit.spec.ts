import fc from 'fast-check';
import type { RowAction, SupplierBatch, SupplierRow } from '../../src/inventory/contract/imports';
import { compareWithStock, type KnownBatch } from '../../src/inventory/domain/compare-with-stock';

const row = (line: number, ref: string, sku = 'LAMP', qty = 10, eta: string | null = null): SupplierRow => ({
  ...{ line, ref, sku, qty, eta },
});
const known = (
  ref: string,
  sku = 'LAMP',
  purchased = 10,
  eta: string | null = null,
  cancelled = false,
): KnownBatch => ({
  ...{ ref, sku, purchased, eta, cancelled },
});
const batch = (ref: string, sku = 'LAMP', qty = 10, eta: string | null = null): SupplierBatch => ({
  ref,
  sku,
  qty,
  eta,
});

describe('A supplier’s file, compared with the stock,', () => {
  it('creates batches that are not known', () => {
    expect(compareWithStock([row(2, 'b1')], [])).toEqual([{ line: 2, kind: 'create', batch: batch('b1') }]);
  });

  it('changes quantity, ETA, or both at once', () => {
    const stock = [known('b1'), known('b2', 'LAMP', 10, '2030-01-01'), known('b3', 'LAMP', 10, '2030-01-01')];
    const rows = [row(2, 'b1', 'LAMP', 5), row(3, 'b2'), row(4, 'b3', 'LAMP', 0, '2030-02-01')];
    expect(compareWithStock(rows, stock)).toMatchObject([
      { kind: 'change', change: { qty: 5 } },
      { kind: 'change', change: { eta: null } },
      { kind: 'change', change: { qty: 0, eta: '2030-02-01' } },
    ]);
    expect(compareWithStock(rows, stock)[0]).not.toHaveProperty('change.eta');
  });

  it('does nothing about what is known, whatever was promised from it', () => {
    expect(compareWithStock([row(2, 'b1')], [known('b1')])).toMatchObject([{ kind: 'nothing' }]);
  });

  it('rejects a reference of another SKU, a cancelled batch, and what could not be understood', () => {
    const rows = [row(2, 'b1', 'SOFA'), row(3, 'b2'), { line: 4, problem: 'qty: a whole number is allowed' }];
    expect(compareWithStock(rows, [known('b1'), known('b2', 'LAMP', 10, null, true)])).toEqual([
      { line: 2, kind: 'reject', ref: 'b1', reason: 'b1 is a batch of LAMP' },
      { line: 3, kind: 'reject', ref: 'b2', reason: 'b2 was cancelled' },
      { line: 4, kind: 'reject', ref: null, reason: 'qty: a whole number is allowed' },
    ]);
  });

  it('goes by the first row of a reference: the same again is nothing, anything else is rejected', () => {
    const rows = [row(2, 'b1'), row(3, 'b1'), row(4, 'b1', 'LAMP', 11), row(5, 'b1', 'SOFA'), row(6, 'b1')];
    expect(compareWithStock(rows, [])).toEqual([
      { line: 2, kind: 'create', batch: batch('b1') },
      { line: 3, kind: 'nothing', batch: batch('b1') },
      { line: 4, kind: 'reject', ref: 'b1', reason: 'line 2 says something else of b1' },
      { line: 5, kind: 'reject', ref: 'b1', reason: 'line 2 says something else of b1' },
      { line: 6, kind: 'nothing', batch: batch('b1') },
    ]);
  });

  it('knows what it said in lines before these', () => {
    const earlier = [{ line: 2, ...batch('b1') }];
    expect(compareWithStock([row(1000, 'b1'), row(1001, 'b1', 'LAMP', 11)], [known('b1')], earlier)).toMatchObject([
      { kind: 'nothing' },
      { kind: 'reject', reason: 'line 2 says something else of b1' },
    ]);
  });

  it('goes by the first row of a reference also where that comes later, by the order of SKUs', () => {
    const rows = [row(9, 'b1', 'LAMP'), row(2, 'b1', 'SOFA')];
    expect(compareWithStock(rows, [], [{ line: 2, ...batch('b1', 'SOFA') }])).toEqual([
      { line: 9, kind: 'reject', ref: 'b1', reason: 'line 2 says something else of b1' },
      { line: 2, kind: 'create', batch: batch('b1', 'SOFA') },
    ]);
  });

  describe('whatever it says,', () => {
    const ref = fc.constantFrom('b1', 'b2', 'b3', 'b4');
    const sku = fc.constantFrom('LAMP', 'SOFA');
    const qty = fc.integer({ min: 0, max: 3 });
    const eta = fc.constantFrom(null, '2030-01-01', '2030-02-01');
    const stocks = fc.uniqueArray(fc.record({ ref, sku, purchased: qty, eta, cancelled: fc.boolean() }), {
      selector: (one) => one.ref,
    });
    const files = fc
      .array(fc.oneof({ weight: 5, arbitrary: fc.record({ ref, sku, qty, eta }) }, fc.constant({ problem: 'bad' })), {
        maxLength: 12,
      })
      .map((rows) => rows.map((one, place): SupplierRow => ({ line: place + 2, ...one })));

    /** The stock after actions: what allocation does about them. */
    function applied(actions: readonly RowAction[], stock: readonly KnownBatch[]): KnownBatch[] {
      const batches = new Map(stock.map((one) => [one.ref, one]));
      for (const action of actions) {
        if (action.kind === 'create') {
          expect(batches.has(action.batch.ref)).toBe(false);
          const { qty: purchased, ...rest } = action.batch;
          batches.set(rest.ref, { ...rest, purchased, cancelled: false });
        } else if (action.kind === 'change') {
          const before = batches.get(action.batch.ref)!;
          const { qty: purchased = before.purchased, eta: arrival = before.eta } = action.change;
          batches.set(before.ref, { ...before, purchased, eta: arrival });
        }
      }
      return [...batches.values()];
    }

    it('the stock is afterwards as the file says, but for the rows that were rejected', () => {
      fc.assert(
        fc.property(files, stocks, (rows, stock) => {
          const actions = compareWithStock(rows, stock);
          expect(actions.map(({ line }) => line)).toEqual(rows.map(({ line }) => line));
          const after = new Map(applied(actions, stock).map((one) => [one.ref, one]));
          for (const [place, action] of actions.entries()) {
            const said = rows[place]!;
            if (action.kind === 'reject' || said.problem !== undefined) continue;
            const { ref: name, qty: purchased, sku: of, eta: arrival } = said;
            if (actions.some((one) => one.kind === 'reject' && one.ref === name && one.line < said.line)) continue;
            expect(after.get(name)).toEqual({ ref: name, sku: of, purchased, eta: arrival, cancelled: false });
          }
        }),
      );
    });

    it('it leaves batches alone that it does not name', () => {
      fc.assert(
        fc.property(files, stocks, (rows, stock) => {
          const named = new Set(rows.flatMap((one) => (one.problem === undefined ? [one.ref] : [])));
          const others = (batches: readonly KnownBatch[]) => batches.filter((one) => !named.has(one.ref));
          expect(others(applied(compareWithStock(rows, stock), stock))).toEqual(others(stock));
        }),
      );
    });

    it('it does nothing when it comes again, and rejects the same rows', () => {
      fc.assert(
        fc.property(files, stocks, (rows, stock) => {
          const actions = compareWithStock(rows, stock);
          const again = compareWithStock(rows, applied(actions, stock));
          for (const [place, action] of again.entries()) {
            if (actions[place]!.kind === 'reject') expect(action).toEqual(actions[place]);
            else expect(action.kind).toBe('nothing');
          }
        }),
      );
    });

    it('it is the same in pieces as in one', () => {
      fc.assert(
        fc.property(files, stocks, fc.nat(12), (rows, stock, at) => {
          const [head, tail] = [rows.slice(0, at), rows.slice(at)];
          const first = compareWithStock(head, stock);
          const earlier = [...head].reverse().flatMap((one) => (one.problem === undefined ? [one] : []));
          expect([...first, ...compareWithStock(tail, applied(first, stock), earlier)].map(({ kind }) => kind)).toEqual(
            compareWithStock(rows, stock).map(({ kind }) => kind),
          );
        }),
      );
    });
  });
});
