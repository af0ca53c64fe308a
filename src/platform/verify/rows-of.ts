import type { Queryable } from '../database/database';

const pageSize = 1_000;

/** The rows of a query of any size, a page at a time. Inside a transaction, and one such query after the other. */
export async function* rowsOf<Row extends object>(transaction: Queryable, query: string): AsyncGenerator<Row> {
  await transaction.query({ text: `DECLARE rows_of NO SCROLL CURSOR FOR ${query}` });
  for (;;) {
    const page = await transaction.query<Row>({ text: `FETCH ${pageSize} FROM rows_of` });
    yield* page;
    if (page.length < pageSize) break;
  }
  await transaction.query({ text: 'CLOSE rows_of' });
}
