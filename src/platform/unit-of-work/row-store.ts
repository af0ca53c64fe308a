import type { AggregateRoot } from '../../kernel/aggregate-root';
import type { AggregatesByKey } from '../../kernel/unit-of-work';
import type { Connection } from '../database/database';
import { exactInstantOf } from '../database/instants';
import { type AggregateSession, AggregateStore, type SessionEvent } from './aggregate-store';

/** The values of an aggregate's columns, as JSON has them. */
export type RowValues = Readonly<Record<string, string | number | boolean | null>>;

/**
 * The store of aggregates that are one row of a table each. The table has, beside the key and the columns of the aggregate:
 * `version bigint NOT NULL` and `changed_at timestamptz NOT NULL`.
 */
export abstract class RowStore<Root extends AggregateRoot, Row extends RowValues> extends AggregateStore<
  readonly string[],
  AggregatesByKey<Root>
> {
  /** With its schema: `inventory.stock_watch`. */
  abstract readonly table: string;
  /** The column of the key, a text. */
  abstract readonly key: string;
  /** The other columns, and their types in SQL. */
  abstract readonly columns: Readonly<Record<keyof Row & string, string>>;

  /** @param row undefined, and the version 0: it does not exist yet */
  abstract aggregateOf(key: string, version: number, row: Row | undefined): Root;

  abstract rowOf(aggregate: Root): Row;

  keysNamedBy(keys: readonly string[]): readonly string[] {
    return keys;
  }

  findKeys(needs: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
    return Promise.resolve(needs);
  }

  open(): AggregateSession<readonly string[], AggregatesByKey<Root>> {
    return new RowSession(this);
  }
}

interface Loaded<Row> {
  readonly version: number;
  readonly state: Row | undefined;
  /** Of its next events. */
  readonly occurredAt: string;
}

interface StoredRow<Row> {
  readonly key: string;
  readonly version: number;
  readonly changedAt: string;
  readonly state: Row;
}

class RowSession<Root extends AggregateRoot, Row extends RowValues> implements AggregateSession<
  readonly string[],
  AggregatesByKey<Root>
> {
  private readonly stored = new Map<string, Loaded<Row>>();
  private readonly changed = new Map<string, Loaded<Row>>();

  constructor(private readonly kind: RowStore<Root, Row>) {}

  async load(
    connection: Connection,
    keys: readonly string[],
    _needs: readonly (readonly string[])[],
    { now }: { readonly now: string },
  ): Promise<readonly string[]> {
    const rows = await connection.query<StoredRow<Row>>(loadFrom(this.kind), [keys]);
    for (const key of keys) this.stored.set(key, { version: 0, state: undefined, occurredAt: now });
    for (const { key, version, changedAt, state } of rows)
      this.stored.set(key, { version, state, occurredAt: changedAt > now ? changedAt : now });
    return [];
  }

  /** Everything was loaded at once. */
  loadMore(): Promise<void> {
    return Promise.resolve();
  }

  keysOf(keys: readonly string[]): readonly string[] {
    return keys;
  }

  attempt<T>(work: (aggregates: AggregatesByKey<Root>) => T): { result: T; events: SessionEvent[] } {
    const copies = new Map<string, Root>();
    const get = (key: string): Root => {
      const copy = copies.get(key) ?? this.copyOf(key);
      copies.set(key, copy);
      return copy;
    };
    const result = work({ get });
    const events = [...copies].flatMap(([key, copy]) => this.adopt(key, copy));
    return { result, events };
  }

  store(connection: Connection): Promise<unknown>[] {
    const rows = [...this.changed]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { version, state, occurredAt }]) => {
        const before = this.stored.get(key)!.version;
        return { ...state, [this.kind.key]: key, version, before, changed_at: occurredAt };
      });
    return [connection.query(upsertInto(this.kind), [JSON.stringify(rows), rows.length])];
  }

  private copyOf(key: string): Root {
    const loaded = this.changed.get(key) ?? this.stored.get(key);
    if (!loaded) throw new Error(`${key} was not among the needs of this unit of work`);
    return this.kind.aggregateOf(key, loaded.version, loaded.state);
  }

  private adopt(key: string, copy: Root): SessionEvent[] {
    if (copy.recorded.length === 0) return [];
    const { occurredAt } = this.stored.get(key)!;
    this.changed.set(key, { version: copy.version, state: this.kind.rowOf(copy), occurredAt });
    return copy.recorded.map((recorded) => ({ ...recorded, key, occurredAt }));
  }
}

type Shape = Pick<RowStore<AggregateRoot, RowValues>, 'table' | 'key' | 'columns'>;

const loadFrom = ({ table, key }: Shape) => ({
  name: `load ${table}`,
  text: `
    SELECT ${key} AS key, version::float8 AS version, to_json(t) AS state,
           ${exactInstantOf('changed_at')} AS "changedAt"
    FROM ${table} AS t WHERE ${key} = ANY($1::text[])`,
});

/** A row that has another version by now is not written, and then nothing is. */
const upsertInto = ({ table, key, columns }: Shape) => {
  const types = { [key]: 'text', version: 'bigint', changed_at: 'timestamptz', ...columns };
  const names = Object.keys(types);
  const rest = names.slice(1);
  return {
    name: `upsert ${table}`,
    text: `
      WITH new AS (
        SELECT * FROM json_to_recordset($1::json)
          AS new (${Object.entries(types)
            .map((column) => column.join(' '))
            .join(', ')}, before bigint)
      ), stored AS (
        INSERT INTO ${table} AS t (${names.join(', ')}) SELECT ${names.join(', ')} FROM new ORDER BY ${key}
        ON CONFLICT (${key}) DO UPDATE SET (${rest.join(', ')}) = ROW (${rest.map((name) => `excluded.${name}`).join(', ')})
        WHERE t.version = (SELECT before FROM new WHERE new.${key} = excluded.${key})
        RETURNING 1
      )
      SELECT platform.expect_rows((SELECT count(*) FROM stored), $2)`,
  };
};
