import type { Client } from 'pg';
import type { Queryable } from '../../src/platform/database/database';
import type { Invariant } from '../../src/platform/verify/invariant';

/** For each invariant, by its name: ways to break it, in SQL. */
export type Corruptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * Tests that the invariants find nothing wrong with what a suite has stored, and see every corruption of it.
 * @param clientOf is asked when the tests run
 */
export function itSees(invariants: readonly Invariant[], corruptions: Corruptions, clientOf: () => Client): void {
  it('finds nothing wrong with what is stored', async () => {
    for (const invariant of invariants) expect(await brokenBy('SELECT 1', invariant, clientOf())).toEqual([]);
  });

  it.each(waysToBreak(corruptions))('%s: sees that %s', async (name, _how, sql) => {
    const invariant = invariants.find((one) => one.name === name)!;
    expect(await brokenBy(sql, invariant, clientOf())).not.toEqual([]);
  });
}

/** One test for each of them. */
export const waysToBreak = (corruptions: Corruptions): [invariant: string, how: string, sql: string][] =>
  Object.entries(corruptions).flatMap(([invariant, ways]) =>
    Object.entries(ways).map(([how, sql]): [string, string, string] => [invariant, how, sql]),
  );

/** What an invariant finds broken after `sql`, nothing of which is kept. */
export async function brokenBy(sql: string, invariant: Invariant, client: Client): Promise<string[]> {
  const inside: Queryable = {
    query: async <Row extends object>({ text }: { text: string }, values?: readonly unknown[]) =>
      (await client.query<Row>({ text, values: [...(values ?? [])] })).rows,
  };
  await client.query('BEGIN');
  try {
    await client.query(sql);
    const found: string[] = [];
    for await (const broken of await invariant.check(inside)) found.push(broken);
    return found;
  } finally {
    await client.query('ROLLBACK');
  }
}
