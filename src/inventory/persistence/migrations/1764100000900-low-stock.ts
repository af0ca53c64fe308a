import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which SKUs are low, beside the levels by which they are listed: a list of them reads no more than its page. */
export class LowStock1764100000900 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE inventory.stock ADD COLUMN low boolean NOT NULL DEFAULT false;
      UPDATE inventory.stock AS s SET low = true FROM inventory.stock_watch AS w WHERE w.sku = s.sku AND w.low;
      CREATE INDEX stock_low ON inventory.stock (sku) WHERE low;
      CREATE INDEX stock_low_by_available ON inventory.stock (available, sku) WHERE low;
      CREATE INDEX stock_low_by_arrival ON inventory.stock (next_arrival, sku) WHERE low;
      DROP INDEX inventory.stock_watch_low;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE INDEX stock_watch_low ON inventory.stock_watch (sku) WHERE low;
      ALTER TABLE inventory.stock DROP COLUMN low;
    `);
  }
}
