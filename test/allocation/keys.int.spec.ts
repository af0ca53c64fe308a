import type { Client } from 'pg';
import { freshDatabase, type TestDatabase } from '../support/database';

/** Tables that are entered by something else than the SKU, as the architecture allows. */
const lookUps = ['batch_ref', 'order_line'];

describe('The catalogue of the database', () => {
  let db: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
  });
  afterAll(() => db.drop());

  const rows = async <Row>(sql: string): Promise<Row[]> => (await client.query(sql)).rows as Row[];
  const tables = `
    SELECT n.nspname AS schema, c.relname AS name, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`;

  it('has sku first in every primary, unique and foreign key of allocation, except in the two look-ups', async () => {
    // A unique index that is no constraint is a key all the same.
    const keys = await rows<{ table: string; key: string; first: string }>(`
      SELECT t.name AS table, k.name AS key, a.attname AS first
      FROM (${tables}) AS t
      JOIN (SELECT conrelid AS oid, conname AS name, conkey[1] AS column FROM pg_constraint WHERE contype = 'f'
            UNION ALL
            SELECT indrelid, indexrelid::regclass::text, indkey[0] FROM pg_index WHERE indisunique) AS k USING (oid)
      JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.column
      WHERE t.schema = 'allocation'`);
    const led = keys.filter(({ table }) => !lookUps.includes(table));
    expect(led.length).toBeGreaterThanOrEqual(4);
    expect(led.filter(({ first }) => first !== 'sku')).toEqual([]);
    expect(keys.filter(({ table }) => lookUps.includes(table)).map(({ table, first }) => `${table} ${first}`)).toEqual(
      expect.arrayContaining(['batch_ref ref', 'order_line order_id']),
    );
  });

  it('refers from sku to sku where a table of allocation refers to another', async () => {
    const foreign = await rows<{ key: string; first: string }>(`
      SELECT k.conname AS key, a.attname AS first
      FROM (${tables}) AS t JOIN pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f'
      JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = k.confkey[1]
      WHERE t.schema = 'allocation'`);
    expect(foreign.length).toBeGreaterThan(0);
    expect(foreign.filter(({ first }) => first !== 'sku')).toEqual([]);
  });

  it('has every table in the schema of a module, and in public only the list of migrations', async () => {
    const found = await rows<{ schema: string; name: string }>(tables);
    const schemas = new Set(found.map(({ schema }) => schema));
    const modules = ['platform', 'allocation', 'inventory', 'notifications'];
    expect([...schemas].filter((schema) => !modules.includes(schema))).toEqual(['public']);
    expect(found.filter(({ schema }) => schema === 'public').map(({ name }) => name)).toEqual(['schema_migration']);
    expect(found.filter(({ schema }) => schema === 'allocation').map(({ name }) => name)).toEqual(
      expect.arrayContaining(['product', 'batch', 'line', ...lookUps]),
    );
  });

  it('has no foreign key from one schema to another', async () => {
    const crossing = await rows(`
      SELECT k.conname FROM pg_constraint AS k
      JOIN pg_class AS one ON one.oid = k.conrelid JOIN pg_class AS other ON other.oid = k.confrelid
      WHERE k.contype = 'f' AND one.relnamespace <> other.relnamespace`);
    expect(crossing).toEqual([]);
  });
});
