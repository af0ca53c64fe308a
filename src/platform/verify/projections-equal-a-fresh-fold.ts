import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Config } from '../config';
import type { Connection, Queryable } from '../database/database';
import { isBehind, readAfter } from '../event-log/event-log-reader';
import { ProjectionDelivery } from '../event-log/projection-delivery';
import type { Position } from '../event-log/stored-event';
import { Projection } from '../event-log/subscriber';
import { Invariant } from './invariant';
import { withPatientConnection } from './patient-database';
import { providersOf } from '../providers';
import { rowsOf } from './rows-of';

const batchSize = 2_000;
const start: Position = { transactionId: '0', position: '0' };

/**
 * Fills the tables of each projection anew, up to its checkpoint and without what is parked, in a transaction that sees the
 * same moment as the other checks and is rolled back.
 */
@Injectable()
export class ProjectionsEqualAFreshFold extends Invariant {
  readonly name = 'every projection equals a fresh fold of the log up to its checkpoint';

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly config: Config,
  ) {
    super();
  }

  async *check(snapshot: Queryable): AsyncGenerator<string> {
    const projections = providersOf(this.discovery, Projection);
    if (projections.length === 0) return;
    const [exported] = await snapshot.query<{ id: string }>({ text: 'SELECT pg_export_snapshot() AS id' });
    for (const projection of projections) {
      yield* withPatientConnection(this.config.databaseUrl!, async function* (transaction) {
        await transaction.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ' });
        await transaction.query({ text: `SET TRANSACTION SNAPSHOT '${exported!.id}'` });
        yield* differences(transaction, projection);
        await transaction.query({ text: 'ROLLBACK' });
      });
    }
  }
}

async function* differences(transaction: Connection, projection: Projection): AsyncGenerator<string> {
  const { name, schema, tables } = projection;
  const fresh = `${schema}_verify_${name.replaceAll('-', '_')}`;
  await transaction.query({ text: `CREATE SCHEMA ${fresh}` });
  for (const table of tables)
    await transaction.query({ text: `CREATE TABLE ${fresh}.${table} (LIKE ${schema}.${table} INCLUDING ALL)` });
  yield* fill(transaction, projection, fresh);
  for (const table of tables) {
    const rows = (of: string): string => `SELECT row::text AS row FROM ${of}.${table} AS row`;
    yield* missing(
      transaction,
      rows(schema),
      rows(fresh),
      `${name}: ${schema}.${table} has what the log does not say:`,
    );
    yield* missing(transaction, rows(fresh), rows(schema), `${name}: ${schema}.${table} lacks`);
  }
}

/** Projects what the subscriber has dealt with. What it cannot digest now, though it is not parked, is told. */
async function* fill(transaction: Connection, projection: Projection, fresh: string): AsyncGenerator<string> {
  const { name } = projection;
  const delivery = new ProjectionDelivery(projection, fresh);
  const [checkpoint = start] = await transaction.query<Position>(
    {
      text: `
        SELECT transaction_id::text AS "transactionId", position::text AS position FROM platform.subscriber
        WHERE name = $1`,
    },
    [name],
  );
  const undelivered = await transaction.query<{ stream: string; version: number }>(
    { text: 'SELECT stream, version::float8 AS version FROM platform.undelivered_event WHERE subscriber = $1' },
    [name],
  );
  const keyOf = (event: { stream: string; version: number }): string => `${event.version} ${event.stream}`;
  const waiting = new Set(undelivered.map(keyOf));
  for (let at = start; ;) {
    const events = await readAfter(transaction, at, batchSize);
    const done = events.filter((event) => !isBehind(checkpoint, event));
    const wanted = done.filter((event) => delivery.wants(event.type) && !waiting.has(keyOf(event)));
    for (const { event, error } of await delivery.project(transaction, wanted)) {
      if (error instanceof Error)
        yield `${name} cannot project ${event.stream} version ${event.version}: ${error.message}`;
    }
    if (done.length < batchSize) return;
    at = done.at(-1)!;
  }
}

async function* missing(transaction: Connection, from: string, inside: string, text: string): AsyncGenerator<string> {
  for await (const { row } of rowsOf<{ row: string }>(transaction, `${from} EXCEPT ALL ${inside}`))
    yield `${text} ${row}`;
}
