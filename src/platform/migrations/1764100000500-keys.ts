import type { MigrationInterface, QueryRunner } from 'typeorm';

/** API keys, by what is kept of them. */
export class Keys1764100000500 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE platform.api_key (
        id         text        PRIMARY KEY,
        name       text        NOT NULL,
        digest     bytea       NOT NULL UNIQUE CHECK (length(digest) = 32),
        scopes     text[]      NOT NULL CHECK (cardinality(scopes) > 0),
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        expires_at timestamptz CHECK (expires_at > created_at),
        revoked_at timestamptz
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE platform.api_key');
  }
}
