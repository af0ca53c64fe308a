import { Injectable, Module } from '@nestjs/common';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Allocated } from '../../src/allocation/contract/events';
import type { Queryable } from '../../src/platform/database/database';
import { Migrations } from '../../src/platform/database/migrate';
import type { StoredEvent } from '../../src/platform/event-log/stored-event';
import { Projection } from '../../src/platform/event-log/subscriber';

class Lag1765000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE SCHEMA bench; CREATE TABLE bench.seen (position bigint PRIMARY KEY)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA bench CASCADE');
  }
}

/**
 * Notes which events it has seen. When they could be read is known to the database, which keeps the time of each commit.
 */
@Injectable()
class SeenProjection extends Projection {
  readonly name = 'bench-seen';
  readonly schema = 'bench';
  readonly tables = ['seen'];
  readonly events = [Allocated];

  async project(events: readonly StoredEvent[], transaction: Queryable): Promise<void> {
    await transaction.query({ text: 'INSERT INTO seen SELECT unnest($1::bigint[])' }, [
      events.map((event) => event.position),
    ]);
  }
}

/** A read model by which the lag of the log is measured. */
@Module({ providers: [SeenProjection] })
@Migrations(Lag1765000000000)
export class LagModule {}
