import type { Client } from 'pg';
import { invariants } from '../../src/allocation/persistence/invariants';
import { verify } from '../../src/platform/verify/verify';
import { line } from '../support/allocation-commands';
import { brokenBy, waysToBreak } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { replicaOver, type Replica } from '../support/replica';
import { allocationCorruptions, liveALittle } from './corruptions';

describe('batchwise verify, of allocation', () => {
  const all = invariants.map((invariant) => new invariant());
  let db: TestDatabase;
  let client: Client;
  let replica: Replica;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    replica = replicaOver(await db.connect());
    await liveALittle(replica);
  });
  afterAll(() => db.drop());

  const brokenOnes = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { invariant, broken } of verify(db.url, all)) if (broken > 0) found.push(invariant);
    return found;
  };

  it('finds nothing wrong with what the commands have stored', async () => {
    const { rows } = await client.query<{ standing: string }>(
      `SELECT DISTINCT concat_ws(' ', status, CASE WHEN displaced THEN 'displaced' END) AS standing FROM allocation.line`,
    );
    const standings = ['backordered', 'backordered displaced', 'promised', 'refused'];
    expect(rows.map(({ standing }) => standing).sort()).toEqual(standings);
    expect(await brokenOnes()).toEqual([]);
  });

  it.each(waysToBreak(allocationCorruptions))('%s: sees that %s', async (name, _how, sql) => {
    const invariant = all.find((one) => one.name === name)!;
    expect(await brokenBy('SELECT 1', invariant, client)).toEqual([]);
    expect(await brokenBy(sql, invariant, client)).not.toEqual([]);
  });

  it('says what is broken, and where', async () => {
    const [counters, , , , , , , fold] = all;
    const sql = `UPDATE allocation.batch SET promised = promised - 1 WHERE ref = 'lamp-2'`;
    expect(await brokenBy(sql, counters!, client)).toEqual(['batch lamp-2 of LAMP: 7 promised, its lines have 8']);
    expect(await brokenBy(sql, fold!, client)).toEqual([
      'batch lamp-2 of LAMP: stored is 7 promised of 10, 2030-02-01, the events say 8 promised of 10, 2030-02-01',
    ]);
  });

  it('sees one moment, while products change', async () => {
    let changing = true;
    const changes = (async () => {
      for (let i = 0; changing; i += 1) {
        await replica.createBatch(`busy-${i}`, 'BUSY', 3);
        await Promise.all([0, 1, 2, 3].map((n) => replica.allocate(line(`busy-${i}-${n}`, 'BUSY', 1))));
      }
    })();
    for (let round = 0; round < 5; round += 1) expect(await brokenOnes()).toEqual([]);
    changing = false;
    await changes;
  });

  it('folds products that are larger than a page', async () => {
    await replica.createBatch('many', 'MANY', 6_000);
    await Promise.all(Array.from({ length: 6_000 }, (_, n) => replica.allocate(line(`many-${n}`, 'MANY', 1))));
    expect(await brokenOnes()).toEqual([]);
    const sql = `DELETE FROM allocation.line WHERE order_id = 'many-4777'`;
    expect(await brokenBy(sql, all.at(-1)!, client)).toEqual([
      expect.stringMatching(/^line 1 of order many-4777, MANY: stored is nothing, the events say 1 promised from many/),
    ]);
  });
});
