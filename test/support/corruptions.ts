import type { Client } from 'pg';
import type { Queryable } from '../../src/platform/database/database';
import type { Invariant } from '../../src/platform/verify/invariant';

/** For each invariant, by its name: ways to break it, in SQL. */
export type Corruptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

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
