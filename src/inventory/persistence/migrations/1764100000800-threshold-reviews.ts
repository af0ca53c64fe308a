import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far the SKUs of a pattern were judged because its threshold changed. */
export class ThresholdReviews1764100000800 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE inventory.threshold
        -- The event that asked for it, and the last SKU that was judged.
        ADD COLUMN reviewed_because uuid,
        ADD COLUMN reviewed_to      text`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE inventory.threshold DROP COLUMN reviewed_because, DROP COLUMN reviewed_to');
  }
}
