import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is to be sent and what became of it, and which delivery stands for which event. */
export class Deliveries1763900000100 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE SCHEMA notifications;

      -- UUIDv7 by the database's clock: 48 bits of milliseconds, then what is random, with the version's bits set.
      CREATE FUNCTION notifications.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
        SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
          PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
        ), 52, 1), 53, 1), 'hex')::uuid
      $$;

      CREATE TABLE notifications.delivery (
        id               uuid        PRIMARY KEY DEFAULT notifications.uuid_v7(),
        -- Of two deliveries of one kind and SKU, the one that was written later has the higher position.
        position         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
        kind             text        NOT NULL CHECK (kind = 'out-of-stock'),
        sku              text        NOT NULL,
        channel          text        NOT NULL CHECK (channel = 'mail'),
        sender           text        NOT NULL,
        recipient        text        NOT NULL,
        subject          text        NOT NULL,
        body             text        NOT NULL,
        message_id       text        NOT NULL GENERATED ALWAYS AS ('<' || id || '@batchwise>') STORED,
        -- The event it comes from; of a digest, the first one.
        event_id         uuid        NOT NULL,
        stream           text        NOT NULL,
        version          bigint      NOT NULL,
        -- A digest takes up further orders until it is tried for the first time.
        digest           boolean     NOT NULL,
        orders           integer     NOT NULL DEFAULT 1 CHECK (orders > 0),
        -- It is not tried earlier than that after the delivery before it, of the same kind and SKU, was done.
        spacing          interval    NOT NULL,
        status           text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'logged', 'dead')),
        attempts         integer     NOT NULL DEFAULT 0,
        first_attempt_at timestamptz,
        next_attempt_at  timestamptz NOT NULL,
        claimed_until    timestamptz,
        last_error       text,
        created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
        done_at          timestamptz,
        CONSTRAINT done_or_pending CHECK ((done_at IS NULL) = (status = 'pending')),
        CONSTRAINT only_a_digest_counts CHECK (digest OR orders = 1)
      ) WITH (fillfactor = 70);
      CREATE UNIQUE INDEX delivery_of_a_sku ON notifications.delivery (kind, sku, position);
      CREATE INDEX delivery_pending ON notifications.delivery (next_attempt_at) WHERE status = 'pending';

      -- Every OutOfStock event that was dealt with, and the delivery that stands for it.
      CREATE TABLE notifications.out_of_stock_event (
        stream      text   NOT NULL,
        version     bigint NOT NULL,
        event_id    uuid   NOT NULL,
        order_id    text   NOT NULL,
        delivery_id uuid   NOT NULL REFERENCES notifications.delivery,
        PRIMARY KEY (stream, version)
      );
      CREATE INDEX out_of_stock_order ON notifications.out_of_stock_event (delivery_id, order_id);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA notifications CASCADE');
  }
}
