import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Readable } from 'node:stream';
import type { RecordBatches } from '../../src/allocation/contract/commands';
import type { CompareWithStock } from '../../src/inventory/contract/imports';
import { compareWithStock } from '../../src/inventory/domain/compare-with-stock';
import { ImportWork } from '../../src/inventory/messaging/import-work';
import { Imports } from '../../src/inventory/messaging/imports';
import { SupplierFiles } from '../../src/inventory/messaging/supplier-files';
import { DomainError } from '../../src/kernel/domain-error';
import { Overloaded } from '../../src/kernel/unit-of-work';
import { freshDatabase, type TestDatabase } from '../support/database';

describe('The work on an import', () => {
  let db: TestDatabase;
  let imports: Imports;
  /** References by the command that recorded them. */
  let recorded: string[][];

  beforeAll(async () => {
    db = await freshDatabase();
    imports = new Imports(await db.connect());
  });
  afterAll(() => db.drop());
  beforeEach(() => (recorded = []));

  /** Work on a stock that is empty, where `refuse` may throw what a command is to meet. */
  function workThat(refuse: (refs: readonly string[]) => void): ImportWork {
    const commands = {
      execute: async ({ facts }: RecordBatches) => {
        const refs = facts.map(({ ref }) => ref);
        refuse(refs);
        recorded.push(refs);
      },
    } as unknown as CommandBus;
    const queries = {
      execute: async ({ rows, earlier }: CompareWithStock) => compareWithStock(rows, [], earlier),
    } as unknown as QueryBus;
    return new ImportWork(imports, commands, queries);
  }

  async function received(...lines: string[]): Promise<string> {
    const csv = Readable.from([Buffer.from(['ref,sku,qty', ...lines].join('\n'))]);
    const { id, digest } = await new SupplierFiles(imports).receive('file', csv, { dryRun: false });
    return imports.seal(id, digest, { again: false });
  }

  it('records the batches of a SKU together, several of them in one step', async () => {
    const id = await received(...Array.from({ length: 100 }, (_, place) => `a${place},SKU-${place % 10},1`));
    expect(await workThat(() => undefined).apply(id, { width: 1 })).toBe(true);
    const skus = recorded.flat().map((ref) => Number(ref.slice(1)) % 10);
    expect(skus).toEqual([...skus].sort());
    expect(recorded.length).toBeLessThan(10);
    expect(await imports.find(id)).toMatchObject({ status: 'applied', created: 100, rejected: 0 });
  });

  it('rejects the row that is refused and no other, whatever it shares a step with', async () => {
    const id = await received('r1,LAMP,1', 'r2,LAMP,1', 'r3,LAMP', 'r4,LAMP,1');
    const work = workThat((refs) => {
      if (refs.includes('r2')) throw new DomainError('too-many-lines', 'conflict', 'Too many.');
    });
    await work.apply(id, { width: 4 });
    expect(recorded).toEqual([['r1'], ['r4']]);
    expect(await imports.find(id)).toMatchObject({ status: 'applied', created: 2, rejected: 2 });
    expect(await imports.rejectsAfter(id, 0, 10)).toEqual([
      { line: 3, ref: 'r2', reason: 'Too many.' },
      { line: 4, ref: null, reason: 'it has 2 columns instead of 3' },
    ]);
  });

  it('goes on behind what was done when the stock was out of reach', async () => {
    const id = await received(...Array.from({ length: 100 }, (_, place) => `o${place},LAMP,1`));
    const outOfReach = workThat((refs) => {
      if (refs.includes('o50')) throw new Overloaded();
    });
    await expect(outOfReach.apply(id, { width: 1 })).rejects.toThrow(Overloaded);
    const { created } = (await imports.find(id))!;
    expect(created).toBeGreaterThan(0);
    const before = recorded.flat().slice(0, created);
    recorded = [];
    await workThat(() => undefined).apply(id, { width: 4 });
    expect(recorded.flat().filter((ref) => before.includes(ref))).toEqual([]);
    expect(await imports.find(id)).toMatchObject({ status: 'applied', created: 100 });
  });
});
