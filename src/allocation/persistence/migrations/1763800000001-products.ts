import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Products, their batches and lines, and the two look-ups that start elsewhere: a reference's SKU, an order's lines. */
export class Products1763800000001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA allocation;

      CREATE TABLE allocation.product (
        sku        text        PRIMARY KEY,
        version    bigint      NOT NULL CHECK (version > 0),
        changed_at timestamptz NOT NULL
      ) WITH (fillfactor = 50);

      CREATE TABLE allocation.batch (
        sku       text    NOT NULL REFERENCES allocation.product,
        ref       text    NOT NULL,
        purchased integer NOT NULL,
        promised  integer NOT NULL,
        eta       date,
        cancelled boolean NOT NULL DEFAULT false,
        open      boolean NOT NULL GENERATED ALWAYS AS (NOT cancelled AND promised < purchased) STORED,
        PRIMARY KEY (sku, ref),
        CONSTRAINT never_oversold CHECK (promised BETWEEN 0 AND purchased),
        CONSTRAINT nothing_promised_from_a_cancelled_batch CHECK (NOT cancelled OR promised = 0)
      ) WITH (fillfactor = 50);
      CREATE INDEX batch_open ON allocation.batch (sku) WHERE open;

      CREATE TABLE allocation.batch_ref (
        ref text PRIMARY KEY,
        sku text NOT NULL
      );

      CREATE TABLE allocation.line (
        sku       text    NOT NULL,
        order_id  text    NOT NULL,
        line_id   text    NOT NULL,
        qty       integer NOT NULL CHECK (qty > 0),
        status    text    NOT NULL CHECK (status IN ('promised', 'backordered', 'refused')),
        batch_ref text,
        priority  integer NOT NULL,
        displaced boolean NOT NULL,
        since     bigint  NOT NULL,
        PRIMARY KEY (sku, order_id, line_id),
        CONSTRAINT promised_from_a_batch CHECK ((status = 'promised') = (batch_ref IS NOT NULL))
      );
      CREATE INDEX line_promised ON allocation.line (sku, batch_ref, since) WHERE status = 'promised';
      CREATE INDEX line_waiting ON allocation.line (sku, priority DESC, displaced DESC, since)
        WHERE status = 'backordered';

      CREATE TABLE allocation.order_line (
        order_id  text    NOT NULL,
        sku       text    NOT NULL,
        line_id   text    NOT NULL,
        qty       integer NOT NULL,
        status    text    NOT NULL,
        batch_ref text,
        priority  integer NOT NULL,
        PRIMARY KEY (order_id, sku, line_id)
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA allocation CASCADE');
  }
}
