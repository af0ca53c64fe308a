import type { Client } from 'pg';
import { thresholdInvariants } from '../../src/inventory/persistence/threshold-invariants';
import { line } from '../support/allocation-commands';
import { itSees } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { replicaOver } from '../support/replica';
import { logOf, thresholdsOn, told, watcherOn } from './stock-low-world';
import { thresholdCorruptions } from './threshold-corruptions';

describe('batchwise verify, of thresholds', () => {
  const all = thresholdInvariants.map((invariant) => new invariant());
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const database = await db.connect();
    const { createBatch, allocate } = replicaOver(database);
    const setThreshold = thresholdsOn(database);
    await setThreshold('*', 5);
    await setThreshold('TABLE-*', 50);
    await setThreshold('TABLE-*', null);
    const watcher = watcherOn(database);
    const read = logOf(database);
    await createBatch('lamps', 'LAMP', 10);
    await allocate(line('o1', 'LAMP', 9));
    await createBatch('sofas', 'SOFA', 2);
    await watcher.publish(await read());
    await createBatch('sofas-2', 'SOFA', 20);
    await watcher.publish((await read()).filter(({ stream }) => stream.startsWith('product:')));
    expect([await told(database, 'LAMP'), await told(database, 'SOFA')]).toEqual([
      ['low 1'],
      ['low 2', 'recovered 22'],
    ]);
  });
  afterAll(() => db.drop());

  itSees(all, thresholdCorruptions, () => client);
});
