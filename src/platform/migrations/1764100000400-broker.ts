import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the traffic with the broker has to remember. */
export class Broker1764100000400 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- By which a publisher finds what it has published last.
      ALTER TABLE platform.subscriber ADD COLUMN receipt text;

      -- Which replica does what one replica at a time may do.
      CREATE TABLE platform.lease (
        name        text        PRIMARY KEY,
        owner       uuid,
        lease_until timestamptz NOT NULL DEFAULT '-infinity'
      );

      -- The ids of messages that were dealt with.
      CREATE TABLE platform.inbox (
        id         text        PRIMARY KEY,
        handled_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );
      CREATE INDEX inbox_by_time ON platform.inbox (handled_at);

      -- An event tells that the message which caused it took effect, whatever became of the inbox.
      CREATE INDEX event_by_message ON platform.event (causation_id) WHERE actor LIKE 'broker:%';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP INDEX platform.event_by_message;
      DROP TABLE platform.inbox;
      DROP TABLE platform.lease;
      ALTER TABLE platform.subscriber DROP COLUMN receipt;
    `);
  }
}
