import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How much there is of each SKU, as a projection keeps it. */
export class Stock1764100000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA IF NOT EXISTS inventory;

      CREATE TABLE inventory.stock (
        sku          text   PRIMARY KEY,
        version      bigint NOT NULL,
        on_hand      bigint NOT NULL,
        inbound      bigint NOT NULL,
        promised     bigint NOT NULL,
        available    bigint NOT NULL GENERATED ALWAYS AS (on_hand + inbound - promised) STORED,
        backordered  bigint NOT NULL,
        -- The earliest ETA, past or not; infinity: nothing is inbound.
        next_arrival date   NOT NULL DEFAULT 'infinity'
      );
      -- For each status, the orders in which its SKUs are listed. Those of status "late" depend on the day: they are among
      -- those that await something.
      CREATE INDEX stock_by_available ON inventory.stock (available, sku);
      CREATE INDEX stock_by_arrival ON inventory.stock (next_arrival, sku);
      CREATE INDEX stock_out ON inventory.stock (sku) WHERE available <= 0;
      CREATE INDEX stock_out_by_arrival ON inventory.stock (next_arrival, sku) WHERE available <= 0;
      CREATE INDEX stock_inbound ON inventory.stock (sku) INCLUDE (next_arrival) WHERE next_arrival < 'infinity';
      CREATE INDEX stock_inbound_by_available ON inventory.stock (available, sku) INCLUDE (next_arrival)
        WHERE next_arrival < 'infinity';

      CREATE TABLE inventory.stock_batch (
        sku       text    NOT NULL,
        ref       text    NOT NULL,
        purchased integer NOT NULL,
        promised  integer NOT NULL,
        eta       date,
        cancelled boolean NOT NULL,
        PRIMARY KEY (sku, ref)
      );
      CREATE INDEX stock_batch_inbound ON inventory.stock_batch (sku, eta) WHERE eta IS NOT NULL AND NOT cancelled;

      -- The lines that wait: an event that amends one does not say what it wanted before.
      CREATE TABLE inventory.stock_waiting (
        sku      text    NOT NULL,
        order_id text    NOT NULL,
        line_id  text    NOT NULL,
        qty      integer NOT NULL,
        PRIMARY KEY (sku, order_id, line_id)
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE inventory.stock, inventory.stock_batch, inventory.stock_waiting');
  }
}
