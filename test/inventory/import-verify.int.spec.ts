import { Readable } from 'node:stream';
import type { Client } from 'pg';
import { beginning, Imports } from '../../src/inventory/messaging/imports';
import { SupplierFiles } from '../../src/inventory/messaging/supplier-files';
import { importInvariants } from '../../src/inventory/persistence/import-invariants';
import { itSees } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { importCorruptions } from './import-corruptions';

describe('batchwise verify, of imports', () => {
  const all = importInvariants.map((invariant) => new invariant());
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const imports = new Imports(await db.connect());
    const receive = async (csv: string): Promise<string> => {
      const { id, digest } = await new SupplierFiles(imports).receive('file', Readable.from([Buffer.from(csv)]), {
        dryRun: false,
      });
      return imports.seal(id, digest, { again: false });
    };
    const done = await receive('ref,sku,qty\na,LAMP,1\nb,LAMP\n');
    expect(await imports.take(done, done)).toEqual(beginning);
    const last = { sku: 'LAMP', line: 2 };
    const tally = { created: 1, changed: 0, unchanged: 0, rejected: 1 };
    await imports.advance(done, done, {
      from: beginning,
      to: last,
      tally,
      rejects: [{ line: 3, ref: null, reason: 'short' }],
    });
    await imports.finish(done, done, last);
    await receive('ref,sku,qty\nc,LAMP,1\nd,LAMP,1\n');
  });
  afterAll(() => db.drop());

  itSees(all, importCorruptions, () => client);
});
