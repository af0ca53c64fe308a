import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The event log and the ids of committed units of work. */
export class EventLog1763800000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA platform;

      CREATE TABLE platform.event (
        stream         text        NOT NULL,
        version        bigint      NOT NULL CHECK (version > 0),
        position       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
        transaction_id xid8        NOT NULL DEFAULT pg_current_xact_id(),
        id             uuid        NOT NULL,
        type           text        NOT NULL,
        data           jsonb       NOT NULL,
        occurred_at    timestamptz NOT NULL,
        actor          text        NOT NULL,
        correlation_id text,
        causation_id   text,
        PRIMARY KEY (stream, version)
      );
      CREATE INDEX event_in_order_of_commit ON platform.event (transaction_id, position);

      CREATE TABLE platform.unit_of_work (
        id           uuid        PRIMARY KEY,
        committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      -- Lets a statement fail, and its transaction with it, where a guarded write missed a row.
      CREATE FUNCTION platform.expect_rows(actual bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
      BEGIN
        IF actual <> expected THEN
          RAISE EXCEPTION 'expected % rows, found %', expected, actual USING ERRCODE = 'serialization_failure';
        END IF;
      END $$;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA platform CASCADE');
  }
}
