import * as fc from 'fast-check';
import { type Connection, type Database, isConnectionLost, sqlState } from '../../src/platform/database/database';
import { Insertion } from '../../src/platform/database/insertion';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PostgresProxy } from '../support/postgres-proxy';

interface Row {
  readonly id: number;
  readonly name: string | null;
  readonly isOpen: boolean;
  readonly data: unknown;
}

const insertion = new Insertion<Row>('sheet', {
  id: ['integer', ({ id }) => id],
  name: ['text', ({ name }) => name],
  is_open: ['boolean', ({ isOpen }) => isOpen],
  data: ['jsonb', ({ data }) => JSON.stringify(data)],
});
const rowsOf = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, place) => ({ id: from + place, name: `n${place}`, isOpen: true, data: [place] }));
/** Added in one statement each: by INSERT, and by COPY. */
const [few, many] = [3, 100];

describe('Rows are added,', () => {
  let db: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    db = await freshDatabase();
    const client = await db.client();
    await client.query(`
      CREATE TABLE sheet (
        id integer PRIMARY KEY, name text, is_open boolean NOT NULL, data jsonb NOT NULL,
        place bigint NOT NULL GENERATED ALWAYS AS IDENTITY
      )`);
    database = await db.connect();
  });
  afterAll(() => db.drop());
  beforeEach(() => database.query({ text: 'TRUNCATE sheet' }));

  const inTransaction = <T>(work: (connection: Connection) => Promise<T>): Promise<T> => database.transaction(work);
  const stored = (connection: Connection | Database = database): Promise<Row[]> =>
    connection.query({ text: 'SELECT id, name, is_open AS "isOpen", data FROM sheet ORDER BY place' });

  it.each([0, 1, few, 31, 32, many, 5_000])('%d of them, in their order', async (count) => {
    const rows = rowsOf(count).reverse();
    await inTransaction((connection) => insertion.run(connection, rows));
    expect(await stored()).toEqual(rows);
  });

  it('whatever they hold', async () => {
    // What the edges let in: no NUL, no lone surrogates.
    const text = fc.oneof(
      fc.string({ unit: 'binary' }).map((any) => any.replaceAll('\0', '')),
      fc.constantFrom('\\N', '\\.', '\\', '\t', '\r\n', '', '"', '{}', 'NULL', '\u2028', '😀'),
    );
    const row = fc.record({ name: fc.option(text), isOpen: fc.boolean(), data: fc.dictionary(text, text) });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1 }), fc.constantFrom(few, many), async (drawn, count) => {
        const rows = Array.from({ length: count }, (_, id) => ({ id, ...drawn[id % drawn.length]! }));
        const connection = await database.connect();
        try {
          await connection.query({ text: 'BEGIN' });
          await insertion.run(connection, rows);
          expect(await stored(connection)).toEqual(rows.map((one) => ({ ...one, data: { ...one.data } })));
        } finally {
          await connection.abandon(undefined);
        }
      }),
      { numRuns: 50 },
    );
  });

  it.each([few, many])('all of %d or none: a key that is taken is an error', async (count) => {
    await inTransaction((connection) => insertion.run(connection, rowsOf(1, count - 1)));
    const failure = await inTransaction((connection) => insertion.run(connection, rowsOf(count))).catch(sqlState);
    expect(failure).toBe('23505');
    expect(await stored()).toHaveLength(1);
  });

  it.each([few, many])('%d of them between other statements, sent together with those', async (count) => {
    const connection = await database.connect();
    const sent = [
      connection.query({ text: 'BEGIN' }),
      insertion.run(connection, rowsOf(count)),
      insertion.run(connection, rowsOf(count, count)),
      connection.query<{ count: number }>({ text: 'SELECT count(*)::int FROM sheet' }),
      connection.query({ text: 'COMMIT' }),
    ];
    const answers = await Promise.all(sent);
    connection.release();
    expect(answers[3]).toEqual([{ count: 2 * count }]);
  });

  it.each([few, many])(
    'and what was sent behind %d that fail fails with them, on a connection that goes on',
    async (count) => {
      const connection = await database.connect();
      const rows = rowsOf(count);
      const sent = [
        connection.query({ text: 'BEGIN' }),
        insertion.run(connection, rows),
        insertion.run(connection, rows),
        insertion.run(connection, rowsOf(count, count)),
        connection.run({ text: 'COMMIT' }),
      ];
      const [, first, again, behind, commit] = await Promise.allSettled(sent);
      expect(first!.status).toBe('fulfilled');
      expect([again, behind].map((one) => sqlState((one as PromiseRejectedResult).reason))).toEqual(['23505', '25P02']);
      expect(commit).toMatchObject({ status: 'fulfilled', value: { command: 'ROLLBACK' } });
      expect(await stored(connection)).toEqual([]);
      connection.release();
    },
  );

  it.each([few, many])('or the loss of the connection is told, with %d of them under way', async (count) => {
    const proxy = await PostgresProxy.before(db.url);
    const connection = await (await db.connect(proxy.url)).connect();
    await connection.query({ text: 'BEGIN' });
    const held = proxy.holdAt('sheet');
    const added = insertion.run(connection, rowsOf(count)).catch((error: unknown) => error);
    await held;
    await proxy.close();
    expect(isConnectionLost(await added)).toBe(true);
    connection.destroy();
  });
});
