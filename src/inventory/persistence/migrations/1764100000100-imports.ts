import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Supplier files: what became of each, the rows of those that are at work, and the rows that were rejected. */
export class Imports1764100000100 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA IF NOT EXISTS inventory;

      CREATE TABLE inventory.import (
        id          uuid        PRIMARY KEY,
        file        text        NOT NULL,
        status      text        NOT NULL DEFAULT 'receiving'
                                CHECK (status IN ('receiving', 'applying', 'applied', 'repeated', 'aborted')),
        -- Its rows are looked at and forgotten.
        dry_run     boolean     NOT NULL,
        -- SHA-256 of its content, once that is known.
        digest      bytea,
        rows        integer     NOT NULL DEFAULT 0,
        -- The row up to which it is done.
        done_sku    text        NOT NULL DEFAULT '',
        done_line   integer     NOT NULL DEFAULT 0,
        created     integer     NOT NULL DEFAULT 0,
        changed     integer     NOT NULL DEFAULT 0,
        unchanged   integer     NOT NULL DEFAULT 0,
        rejected    integer     NOT NULL DEFAULT 0,
        -- The import of the same content that made this one needless.
        repeats     uuid        REFERENCES inventory.import,
        -- Why it was aborted.
        reason      text,
        started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        finished_at timestamptz,
        -- Whether nothing is left in import_row.
        tidy        boolean     NOT NULL DEFAULT false,
        -- Who is at it, and until when that need not be doubted.
        owner       uuid,
        lease_until timestamptz NOT NULL,
        CONSTRAINT finished_or_not CHECK ((finished_at IS NULL) = (status IN ('receiving', 'applying'))),
        CONSTRAINT applied_by_content CHECK (status NOT IN ('applying', 'applied') OR digest IS NOT NULL),
        CONSTRAINT repeats_another CHECK ((status = 'repeated') = (repeats IS NOT NULL))
      ) WITH (fillfactor = 50);
      CREATE UNIQUE INDEX import_at_work ON inventory.import (digest) WHERE status = 'applying';
      CREATE INDEX import_applied ON inventory.import (digest, finished_at) WHERE status = 'applied';
      CREATE INDEX import_untidy ON inventory.import (started_at) WHERE NOT tidy;

      CREATE TABLE inventory.import_row (
        import_id uuid    NOT NULL,
        -- Empty: see the problem.
        sku       text    NOT NULL DEFAULT '' COLLATE "C",
        line      integer NOT NULL,
        ref       text    COLLATE "C",
        qty       integer,
        eta       date,
        -- Why the row says nothing that can be understood.
        problem   text,
        -- The first row that names the same reference, if it is another one.
        first     json,
        -- In this order they are worked off: those of a SKU together, because they are decided together.
        PRIMARY KEY (import_id, sku, line)
      );

      CREATE TABLE inventory.import_reject (
        import_id uuid    NOT NULL REFERENCES inventory.import,
        line      integer NOT NULL,
        ref       text,
        reason    text    NOT NULL,
        PRIMARY KEY (import_id, line)
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE inventory.import_reject, inventory.import_row, inventory.import');
  }
}
