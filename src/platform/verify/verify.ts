import type { Connection } from '../database/database';
import type { Invariant } from './invariant';
import { withPatientConnection } from './patient-database';

/** What became of one invariant. */
export interface Verdict {
  readonly invariant: string;
  /** How many things are broken. */
  readonly broken: number;
  /** The first of them, a line each. */
  readonly examples: readonly string[];
}

const examplesMax = 10;

/** Checks invariants one after the other, all as of the same moment. Whoever stops listening stops the checks. */
export function verify(databaseUrl: string, invariants: readonly Invariant[]): AsyncGenerator<Verdict> {
  return withPatientConnection(databaseUrl, async function* (snapshot: Connection) {
    await snapshot.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' });
    for (const invariant of invariants) {
      const examples: string[] = [];
      let broken = 0;
      for await (const example of await invariant.check(snapshot)) {
        broken += 1;
        if (broken <= examplesMax) examples.push(example);
      }
      yield { invariant: invariant.name, broken, examples };
    }
  });
}
