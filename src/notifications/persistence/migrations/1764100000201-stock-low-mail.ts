import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Mail about low stock: one delivery for each event. */
export class StockLowMail1764100000201 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE notifications.delivery DROP CONSTRAINT delivery_kind_check,
        ADD CONSTRAINT delivery_kind_check CHECK (kind IN ('out-of-stock', 'stock-low'));
      CREATE UNIQUE INDEX delivery_of_low_stock ON notifications.delivery (stream, version) WHERE kind = 'stock-low';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DELETE FROM notifications.delivery WHERE kind = 'stock-low';
      DROP INDEX notifications.delivery_of_low_stock;
      ALTER TABLE notifications.delivery DROP CONSTRAINT delivery_kind_check,
        ADD CONSTRAINT delivery_kind_check CHECK (kind = 'out-of-stock');
    `);
  }
}
