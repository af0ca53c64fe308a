import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Deliveries that were done long ago are deleted, and how far is remembered. */
export class DeliveriesKept1764100000700 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- Deliveries of events up to this place of the log, which the subscriber had written, may be gone. No row: none is.
      CREATE TABLE notifications.horizon (
        subscriber     text   PRIMARY KEY,
        transaction_id xid8   NOT NULL,
        position       bigint NOT NULL
      );
      CREATE INDEX webhook_delivery_done ON notifications.webhook_delivery (status, done_at) WHERE done_at IS NOT NULL;
      CREATE INDEX delivery_done ON notifications.delivery (kind, status, done_at) WHERE done_at IS NOT NULL;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP INDEX notifications.delivery_done;
      DROP INDEX notifications.webhook_delivery_done;
      DROP TABLE notifications.horizon;
    `);
  }
}
