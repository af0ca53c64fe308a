import { Injectable } from '@nestjs/common';
import { DomainError } from '../../kernel/domain-error';
import { Overloaded } from '../../kernel/unit-of-work';
import { Database, isConnectionLost, type Queryable } from '../../platform/database/database';
import { instantOf } from '../../platform/database/instants';
import { newId } from '../../platform/new-id';
import type { FirstMention, SupplierRow } from '../contract/imports';

export type ImportStatus = 'receiving' | 'applying' | 'applied' | 'repeated' | 'aborted';

/** Rows by what became of them. */
export interface Tally {
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly rejected: number;
}

/** How far the import of a supplier's file is. */
export interface ImportState extends Tally {
  readonly id: string;
  readonly file: string;
  readonly status: ImportStatus;
  readonly rows: number;
  /** The import that applied the same content; null unless `repeated`. */
  readonly repeats: string | null;
  /** Why it was aborted; null otherwise. */
  readonly reason: string | null;
  /** ISO instants. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
}

/** A row's place in the order in which rows are worked off: by SKU, and by line within it. */
export interface Place {
  readonly sku: string;
  readonly line: number;
}

/** Before all rows. */
export const beginning: Place = { sku: '', line: 0 };

export interface RejectedRow {
  readonly line: number;
  /** null: it could not be understood so far. */
  readonly ref: string | null;
  readonly reason: string;
}

/** Somebody else is at the import, or it has come to its end: whoever sees this stops at once. */
export class ImportTaken extends Error {}

/** What was staged is gone: its lease ran out while nothing came. */
export class ImportGone extends DomainError {
  constructor() {
    super('import-aborted', 'conflict', 'Nothing came for so long that the import was aborted; send the file again.');
  }
}

/** Seconds of the database's clock without a sign of life of whoever receives, or applies, before others may take over. */
const patience = { receiving: 60, applying: 10 };
const rowsRemovedAtOnce = 20_000;

const lease = (seconds: number): string => `lease_until = clock_timestamp() + interval '${seconds} seconds'`;
const state = `
  id, file, status, rows, created, changed, unchanged, rejected, repeats, reason,
  ${instantOf('started_at')} AS "startedAt", ${instantOf('finished_at')} AS "finishedAt"`;

const open = {
  text: `
    INSERT INTO inventory.import (id, file, dry_run, lease_until)
    VALUES ($1, $2, $3, clock_timestamp() + interval '${patience.receiving} seconds')`,
};

/** These run while tables grow from nothing to millions of rows, so none is prepared: a plan is made each time. */
const stage = {
  text: `
    WITH receiving AS (
      UPDATE inventory.import SET rows = rows + $2, ${lease(patience.receiving)}
      WHERE id = $1 AND status = 'receiving' RETURNING id
    ), staged AS (
      INSERT INTO inventory.import_row (import_id, sku, line, ref, qty, eta, problem)
      SELECT id, n.* FROM receiving, unnest($3::text[], $4::int[], $5::text[], $6::int[], $7::date[], $8::text[]) AS n
    )
    SELECT 1 FROM receiving`,
};

const markRepeated = {
  text: `
    UPDATE inventory.import_row AS r
    SET first = json_build_object('line', (n.first).line, 'ref', (n.first).ref, 'sku', (n.first).sku,
                                  'qty', (n.first).qty, 'eta', (n.first).eta)
    FROM (SELECT sku, line, first_value(i) OVER (PARTITION BY ref ORDER BY line) AS first
          FROM inventory.import_row AS i WHERE import_id = $1 AND ref IS NOT NULL) AS n
    WHERE r.import_id = $1 AND r.sku = n.sku AND r.line = n.line AND n.line > (n.first).line`,
};

const lockContent = { text: `SELECT pg_advisory_xact_lock(hashtextextended('import:' || $1, 0))` };

/** The import that is applying a content, or else the last one that did. */
const sameContent = {
  text: `
    SELECT ${state} FROM inventory.import WHERE digest = decode($1, 'hex') AND status IN ('applying', 'applied')
    ORDER BY finished_at DESC NULLS FIRST LIMIT 1`,
};

const beApplied = {
  text: `
    UPDATE inventory.import SET status = 'applying', digest = decode($2, 'hex'), lease_until = '-infinity'
    WHERE id = $1 AND status = 'receiving' RETURNING 1`,
};

const end = (status: 'applied' | 'repeated' | 'aborted', from: 'receiving' | 'applying', rest = '') => ({
  text: `
    UPDATE inventory.import SET status = '${status}', finished_at = clock_timestamp() ${rest}
    WHERE id = $1 AND status = '${from}'`,
});
const repeat = end('repeated', 'receiving', `, digest = decode($2, 'hex'), repeats = $3`);
const abort = end('aborted', 'receiving', ', reason = $2');
const abortThoseLeft = {
  text: `
    UPDATE inventory.import SET status = 'aborted', finished_at = clock_timestamp(), reason = 'whoever sent it is gone'
    WHERE status = 'receiving' AND lease_until < clock_timestamp()`,
};
const finish = {
  text: `
    UPDATE inventory.import SET status = 'applied', finished_at = clock_timestamp()
    WHERE id = $1 AND owner = $2 AND done_sku = $3 AND done_line = $4 AND status = 'applying' RETURNING 1`,
};

const byId = { text: `SELECT ${state} FROM inventory.import WHERE id = $1 AND NOT dry_run` };

const toBeApplied = {
  text: `
    SELECT id FROM inventory.import WHERE status = 'applying' AND lease_until < clock_timestamp()
    ORDER BY started_at LIMIT 1`,
};

const take = {
  text: `
    UPDATE inventory.import SET owner = $2, ${lease(patience.applying)}
    WHERE id = $1 AND status = 'applying' AND (owner = $2 OR lease_until < clock_timestamp())
    RETURNING done_sku AS sku, done_line AS line`,
};

const release = { text: `UPDATE inventory.import SET lease_until = '-infinity' WHERE id = $1 AND owner = $2` };

/** Reads rows along their index, whatever the planner thinks of a table that was empty a moment ago. */
const unsorted = { text: 'SET LOCAL enable_sort = off' };

const rowsAfter = {
  text: `
    SELECT line, ref, sku, qty, eta::text AS eta, problem, first FROM inventory.import_row
    WHERE import_id = $1 AND (sku, line) > ($2, $3) ORDER BY import_id, sku, line LIMIT $4`,
};

const renew = {
  text: `UPDATE inventory.import SET ${lease(patience.receiving)} WHERE id = $1 AND status = 'receiving' RETURNING 1`,
};

const advance = {
  text: `
    WITH moved AS (
      UPDATE inventory.import
      SET done_sku = $5, done_line = $6, created = created + $7, changed = changed + $8, unchanged = unchanged + $9,
          rejected = rejected + $10, ${lease(patience.applying)}
      WHERE id = $1 AND owner = $2 AND done_sku = $3 AND done_line = $4 AND status = 'applying' RETURNING id
    ), told AS (
      INSERT INTO inventory.import_reject (import_id, line, ref, reason)
      SELECT id, n.* FROM moved, unnest($11::int[], $12::text[], $13::text[]) AS n
    )
    SELECT 1 FROM moved`,
};

const rejectsAfter = {
  text: `
    SELECT line, ref, reason FROM inventory.import_reject WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3`,
};

const untidy = {
  text: `
    SELECT id FROM inventory.import WHERE NOT tidy AND status IN ('applied', 'repeated', 'aborted')
    ORDER BY started_at LIMIT 1`,
};
/** Those behind a place, so that those before it, which are gone, are not looked at again. */
const removeRows = {
  text: `
    WITH last AS (
      SELECT sku, line FROM (
        SELECT sku, line FROM inventory.import_row WHERE import_id = $1 AND (sku, line) > ($2, $3)
        ORDER BY import_id, sku, line LIMIT ${rowsRemovedAtOnce}
      ) AS first ORDER BY sku DESC, line DESC LIMIT 1
    ), removed AS (
      DELETE FROM inventory.import_row
      WHERE import_id = $1 AND (sku, line) > ($2, $3) AND (sku, line) <= (SELECT sku, line FROM last)
    )
    SELECT sku, line FROM last`,
};
const tidied = {
  text: `
    WITH forgotten AS (DELETE FROM inventory.import WHERE id = $1 AND dry_run)
    UPDATE inventory.import SET tidy = true WHERE id = $1 AND NOT dry_run`,
};

/** With a problem there is nothing else. */
interface StagedRow extends FirstMention {
  readonly problem: string | null;
  readonly first: FirstMention | null;
}

/** A page of rows as they are staged, and the first rows of the file that name the references that these repeat. */
export interface StagedPage {
  readonly rows: readonly SupplierRow[];
  readonly earlier: readonly FirstMention[];
}

/** Supplier files in the database: what became of each, and their rows until they are worked off. */
@Injectable()
export class Imports {
  constructor(private readonly database: Database) {}

  /** Begins to take in a file. @returns its id */
  async open(file: string, { dryRun }: { readonly dryRun: boolean }): Promise<string> {
    const id = newId();
    await this.database.query(open, [id, file.slice(0, 1000), dryRun]);
    return id;
  }

  /** Keeps the next rows of a file. @throws ImportGone */
  async stage(id: string, rows: readonly SupplierRow[]): Promise<void> {
    const cells = <Name extends 'ref' | 'qty' | 'eta'>(name: Name) =>
      rows.map((row) => (row.problem === undefined ? row[name] : null));
    const found = await this.database.query(stage, [
      id,
      rows.length,
      rows.map((row) => (row.problem === undefined ? row.sku : '')),
      rows.map((row) => row.line),
      cells('ref'),
      cells('qty'),
      cells('eta'),
      rows.map((row) => (row.problem === undefined ? null : oneLine(row.problem))),
    ]);
    if (found.length === 0) throw new ImportGone();
  }

  /**
   * Everything of a file is there. From now on it is applied, by whoever comes first, unless its content was before.
   * @param digest SHA-256 of the content, in hex
   * @returns the import that applies, or has applied, the content: this one, or one from before
   */
  async seal(id: string, digest: string, { again }: { readonly again: boolean }): Promise<string> {
    const applies = await this.transaction(async (transaction) => {
      await transaction.query(lockContent, [digest]);
      const [same] = await transaction.query<ImportState>(sameContent, [digest]);
      if (same && !(again && same.status === 'applied')) {
        await transaction.query(repeat, [id, digest, same.id]);
        return same.id;
      }
      await transaction.query(markRepeated, [id]);
      const sealed = await transaction.query(beApplied, [id, digest]);
      if (sealed.length === 0) throw new ImportGone();
      return id;
    });
    if (applies !== id) await this.tidy(id);
    return applies;
  }

  /** Makes the rows of a dry run ready to be looked at. */
  async markRepeatedRows(id: string): Promise<void> {
    await this.database.query(markRepeated, [id]);
  }

  /** Nothing of the file is applied. */
  async abort(id: string, reason: string): Promise<void> {
    await this.database.query(abort, [id, oneLine(reason)]);
    await this.tidy(id);
  }

  async find(id: string): Promise<ImportState | undefined> {
    return (await this.database.query<ImportState>(byId, [id]))[0];
  }

  /** The import that is applying the content with this SHA-256 (hex), or else the last one that did. */
  async findContent(digest: string): Promise<ImportState | undefined> {
    return (await this.database.query<ImportState>(sameContent, [digest]))[0];
  }

  /** An import that is to be applied and that nobody is at. */
  async findWaiting(): Promise<string | undefined> {
    return (await this.database.query<{ id: string }>(toBeApplied))[0]?.id;
  }

  /**
   * Becomes the one who applies an import, for some seconds from each {@link advance}.
   * @returns the row up to which it is done; undefined if somebody else is at it, or it is over
   */
  async take(id: string, owner: string): Promise<Place | undefined> {
    return (await this.database.query<Place>(take, [id, owner]))[0];
  }

  async release(id: string, owner: string): Promise<void> {
    await this.database.query(release, [id, owner]);
  }

  /** The rows behind a place. */
  async rowsAfter(id: string, { sku, line }: Place, limit: number): Promise<StagedPage> {
    const rows = await this.alongIndex<StagedRow>(rowsAfter, [id, sku, line, limit]);
    return { rows: rows.map(rowOf), earlier: rows.flatMap(({ first }) => first ?? []) };
  }

  /** Says that whoever looks at the rows of a dry run is still there. @throws ImportGone */
  async renew(id: string): Promise<void> {
    if ((await this.database.query(renew, [id])).length === 0) throw new ImportGone();
  }

  /**
   * Notes what became of the rows from one place to another.
   * @throws ImportTaken if somebody else noted it
   */
  async advance(
    id: string,
    owner: string,
    { from, to, tally, rejects }: { from: Place; to: Place; tally: Tally; rejects: readonly RejectedRow[] },
  ): Promise<void> {
    const moved = await this.database.query(advance, [
      ...[
        id,
        owner,
        from.sku,
        from.line,
        to.sku,
        to.line,
        tally.created,
        tally.changed,
        tally.unchanged,
        tally.rejected,
      ],
      rejects.map(({ line }) => line),
      rejects.map(({ ref }) => ref),
      rejects.map(({ reason }) => oneLine(reason)),
    ]);
    if (moved.length === 0) throw new ImportTaken();
  }

  /** Every row is done. @throws ImportTaken */
  async finish(id: string, owner: string, at: Place): Promise<void> {
    const finished = await this.database.query(finish, [id, owner, at.sku, at.line]);
    if (finished.length === 0) throw new ImportTaken();
    await this.tidy(id);
  }

  /** Rejected rows behind a line, in the order of the file. */
  rejectsAfter(id: string, line: number, limit: number): Promise<RejectedRow[]> {
    return this.database.query<RejectedRow>(rejectsAfter, [id, line, limit]);
  }

  /** Removes what those left who are gone. */
  async tidyUp(): Promise<void> {
    await this.database.query(abortThoseLeft);
    const [left] = await this.database.query<{ id: string }>(untidy);
    if (left) await this.tidy(left.id);
  }

  private async transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T> {
    try {
      return await this.database.transaction(work);
    } catch (error) {
      throw isConnectionLost(error)
        ? new Overloaded('The database does not answer. Try again.', { cause: error })
        : error;
    }
  }

  private alongIndex<Row extends object>(
    statement: { readonly text: string },
    values: readonly unknown[],
  ): Promise<Row[]> {
    return this.transaction(async (transaction) => {
      await transaction.query(unsorted);
      return transaction.query<Row>(statement, values);
    });
  }

  private async tidy(id: string): Promise<void> {
    for (let at: Place | undefined = beginning; at;)
      [at] = (await this.alongIndex<Place>(removeRows, [id, at.sku, at.line])) as [Place?];
    await this.database.query(tidied, [id]);
  }
}

const rowOf = ({ line, ref, sku, qty, eta, problem }: StagedRow): SupplierRow =>
  problem === null ? { line, ref, sku, qty, eta } : { line, problem };

/** What fits into a line, and any database can store. */
const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 500);
