import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What requests with an idempotency key led to. */
export class Idempotency1764100000600 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE platform.idempotency_key (
        scope       text        NOT NULL,
        key         text        NOT NULL,
        fingerprint text        NOT NULL,
        request_id  text        NOT NULL,
        outcome     json        NOT NULL,
        stored_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (scope, key)
      );
      CREATE INDEX idempotency_key_by_age ON platform.idempotency_key (stored_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE platform.idempotency_key');
  }
}
