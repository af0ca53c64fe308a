import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When stock is low, and of which SKUs it is. */
export class Thresholds1764100000200 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA IF NOT EXISTS inventory;

      CREATE TABLE inventory.threshold (
        -- A SKU, or a pattern of SKUs with an asterisk.
        pattern       text        PRIMARY KEY,
        version       bigint      NOT NULL CHECK (version > 0),
        changed_at    timestamptz NOT NULL,
        -- Both null: it was removed.
        reorder_point bigint,
        clear_at      bigint,
        CONSTRAINT clears_above_the_reorder_point CHECK (clear_at > reorder_point),
        CONSTRAINT set_or_removed CHECK ((reorder_point IS NULL) = (clear_at IS NULL))
      );
      CREATE INDEX threshold_of_many ON inventory.threshold (pattern)
        WHERE strpos(pattern, '*') > 0 AND reorder_point IS NOT NULL;

      -- SKUs that were low once.
      CREATE TABLE inventory.stock_watch (
        sku        text        PRIMARY KEY,
        version    bigint      NOT NULL CHECK (version > 0),
        changed_at timestamptz NOT NULL,
        low        boolean     NOT NULL,
        -- The version of the SKU at which it was last found to be low, or no longer so.
        seen       bigint      NOT NULL
      ) WITH (fillfactor = 70);
      CREATE INDEX stock_watch_low ON inventory.stock_watch (sku) WHERE low;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE inventory.threshold, inventory.stock_watch');
  }
}
