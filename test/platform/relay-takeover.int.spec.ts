import type { Database } from '../../src/platform/database/database';
import { freshDatabase, type TestDatabase } from '../support/database';
import { RelayProcess } from '../support/relay-process';
import { appended, inOrder } from '../support/relay-world';
import { until } from '../support/replica';

describe('A replica that was stopped for longer than its lease', () => {
  let test: TestDatabase;
  let database: Database;
  const processes: RelayProcess[] = [];

  beforeEach(async () => {
    test = await freshDatabase();
    database = await test.connect();
    const columns = 'seq bigint GENERATED ALWAYS AS IDENTITY, stream text, version bigint, by text';
    for (const text of ['CREATE SCHEMA model', `CREATE TABLE model.rows (${columns})`]) await database.query({ text });
    await database.query({ text: `CREATE TABLE model.handled (${columns})` });
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map((one) => one.kill()));
    await test.drop();
  });

  const start = async (...args: [name: string, stopIn?: 'projection' | 'reaction']): Promise<RelayProcess> => {
    const one = await RelayProcess.start(test.url, ...args);
    processes.push(one);
    return one;
  };

  const rows = (table: 'rows' | 'handled') =>
    database.query<{ key: string; by: string }>({
      text: `SELECT stream || '/' || version AS key, by FROM model.${table} ORDER BY seq`,
    });

  const owners = async (): Promise<(string | null)[]> => {
    const found = await database.query<{ owner: string | null }>({ text: 'SELECT owner FROM platform.subscriber' });
    return found.map(({ owner }) => owner);
  };

  it('is fenced in a projection, whose rows are written exactly once', async () => {
    const first = await start('first', 'projection');
    await appended(database, 'thing:1', 3);
    await appended(database, 'thing:2', 2);
    await first.stopping;
    await start('second');
    await until(async () => (await rows('rows')).length === 5);
    first.resume();
    await appended(database, 'thing:1', 2);
    await until(async () => (await rows('rows')).length >= 7);
    // It is alive again: it takes over what the other one leaves.
    await processes[1]!.kill();
    await appended(database, 'thing:3');
    await until(async () => (await rows('rows')).length >= 8);

    const written = await rows('rows');
    expect(written.at(-1)).toEqual({ key: 'thing:3/1', by: 'first' });
    // What it had in hand when it was stopped; of what came later, whoever held the lease just then took it.
    expect(written.slice(0, 5).every(({ by }) => by === 'second')).toBe(true);
    expect(written.length).toBe(8);
    expect(new Set(written.map(({ key }) => key)).size).toBe(8);
    expect(inOrder(written.map(({ key }) => key))).toBe(true);
    expect(new Set(await owners()).size).toBe(1);
  });

  it('handles nothing more of what a reaction was about to handle', async () => {
    const first = await start('first', 'reaction');
    await appended(database, 'thing:1', 40);
    await first.stopping;
    await start('second');
    await until(async () => (await rows('handled')).filter(({ by }) => by === 'second').length === 40);
    first.resume();
    await appended(database, 'thing:1', 2);
    await until(async () => (await rows('handled')).some(({ key }) => key === 'thing:1/42'));
    await processes[1]!.kill();
    await appended(database, 'thing:1');
    await until(async () => (await rows('handled')).some(({ key }) => key === 'thing:1/43'));

    const handled = await rows('handled');
    const byFirst = handled.filter(({ by }) => by === 'first').map(({ key }) => key);
    expect(byFirst[0]).toBe('thing:1/1');
    expect(byFirst.at(-1)).toBe('thing:1/43');
    // What it was given at once; a later one may come to it because the other one died before its checkpoint moved.
    const given = byFirst.map((key) => Number(key.split('/')[1])).filter((version) => version <= 40);
    expect(given).toEqual([1]);
    expect(inOrder(handled.filter(({ by }) => by === 'second').map(({ key }) => key))).toBe(true);
  });
});
