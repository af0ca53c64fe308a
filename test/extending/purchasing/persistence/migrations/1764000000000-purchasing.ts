import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What should be bought, and how much was asked for. */
export class Purchasing1764000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA purchasing;
      CREATE TABLE purchasing.suggestion (event_id uuid PRIMARY KEY, sku text NOT NULL, qty integer NOT NULL);
      CREATE TABLE purchasing.demand (sku text PRIMARY KEY, units bigint NOT NULL);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA purchasing CASCADE');
  }
}
