import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who wants to be told of which events over HTTP, and what became of it. */
export class Webhooks1764100000300 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- 256 bits of three random UUIDs, which are made by the cryptographic source of the server.
      CREATE FUNCTION notifications.webhook_secret() RETURNS text LANGUAGE sql VOLATILE AS $$
        SELECT 'whsec_' || encode(sha256(
          uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
        ), 'base64')
      $$;

      CREATE TABLE notifications.webhook (
        id               uuid        PRIMARY KEY DEFAULT notifications.uuid_v7(),
        url              text        NOT NULL,
        description      text        NOT NULL,
        -- Null: all.
        event_types      text[],
        enabled          boolean     NOT NULL DEFAULT true,
        -- Why, if it was not an operator who disabled it.
        disabled_because text,
        secret           text        NOT NULL DEFAULT notifications.webhook_secret(),
        -- The one before it also signs for a day.
        old_secret       text,
        old_secret_until timestamptz,
        -- Attempts that failed one after the other.
        failures         integer     NOT NULL DEFAULT 0,
        failing_since    timestamptz,
        -- Nothing is sent before then, and from then on one delivery at a time, until one is accepted. Null: all is well.
        open_until       timestamptz,
        created_at       timestamptz NOT NULL DEFAULT clock_timestamp()
      );

      -- What it asked for, from which place in the log on. The transaction's id is that place: the relay delivers no event of a
      -- later transaction before this one has ended.
      CREATE TABLE notifications.webhook_subscription (
        id             bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        webhook_id     uuid   NOT NULL REFERENCES notifications.webhook ON DELETE CASCADE,
        transaction_id xid8   NOT NULL DEFAULT pg_current_xact_id(),
        position       bigint NOT NULL DEFAULT 0,
        -- Null: all; empty: none.
        event_types    text[]
      );
      CREATE INDEX webhook_subscription_place
        ON notifications.webhook_subscription (webhook_id, transaction_id, position, id);

      -- The webhooks that asked, when it happened, for an event of a type at a place in the log.
      CREATE FUNCTION notifications.webhooks_asking_for(type text, transaction_id xid8, "position" bigint)
      RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
        SELECT w.id FROM notifications.webhook AS w
        CROSS JOIN LATERAL (
          SELECT s.event_types FROM notifications.webhook_subscription AS s
          WHERE s.webhook_id = w.id AND (s.transaction_id, s.position) < ($2, $3)
          ORDER BY s.transaction_id DESC, s.position DESC, s.id DESC LIMIT 1
        ) AS asked
        WHERE asked.event_types IS NULL OR $1 = ANY (asked.event_types)
      $$;

      CREATE TABLE notifications.webhook_delivery (
        id               uuid        PRIMARY KEY DEFAULT notifications.uuid_v7(),
        webhook_id       uuid        NOT NULL REFERENCES notifications.webhook ON DELETE CASCADE,
        event_id         uuid        NOT NULL,
        stream           text        NOT NULL,
        version          bigint      NOT NULL,
        type             text        NOT NULL,
        status           text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
        attempts         integer     NOT NULL DEFAULT 0,
        first_attempt_at timestamptz,
        next_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        claimed_until    timestamptz,
        -- Of the last attempt; null: there was no answer.
        response_status  integer,
        last_error       text,
        created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
        -- Since then it is to be sent: since it was written, or sent again on demand.
        waiting_since    timestamptz NOT NULL DEFAULT clock_timestamp(),
        done_at          timestamptz,
        CONSTRAINT once_per_event UNIQUE (webhook_id, event_id),
        CONSTRAINT done_or_pending CHECK ((done_at IS NULL) = (status = 'pending'))
      ) WITH (fillfactor = 70);
      CREATE INDEX webhook_delivery_latest ON notifications.webhook_delivery (webhook_id, id);
      CREATE INDEX webhook_delivery_pending ON notifications.webhook_delivery (webhook_id, next_attempt_at)
        WHERE status = 'pending';
      CREATE INDEX webhook_delivery_claimed ON notifications.webhook_delivery (webhook_id, claimed_until)
        WHERE status = 'pending' AND claimed_until IS NOT NULL;
      CREATE INDEX webhook_delivery_dead ON notifications.webhook_delivery (id) WHERE status = 'dead';
      CREATE INDEX delivery_dead ON notifications.delivery (id) WHERE status = 'dead';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP INDEX notifications.delivery_dead;
      DROP TABLE notifications.webhook_delivery;
      DROP FUNCTION notifications.webhooks_asking_for;
      DROP TABLE notifications.webhook_subscription;
      DROP TABLE notifications.webhook;
      DROP FUNCTION notifications.webhook_secret;
    `);
  }
}
