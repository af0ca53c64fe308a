import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Config } from '../config';
import type { Connection } from '../database/database';
import { isBehind, readAfter } from '../event-log/event-log-reader';
import { ProjectionDelivery } from '../event-log/projection-delivery';
import {
  createShadow,
  dropShadow,
  inTransaction,
  keepRebuildsOut,
  letRebuildsIn,
  shadowOf,
} from '../event-log/rebuild';
import type { Position } from '../event-log/stored-event';
import { Projection } from '../event-log/subscriber';
import { Invariant } from './invariant';
import { withPatientConnection } from './patient-database';
import { providersOf } from '../providers';
import { rowsOf } from './rows-of';

const batchSize = 2_000;
const start: Position = { transactionId: '0', position: '0' };

/**
 * Fills the tables of each projection anew, in a schema of their own, up to its checkpoint and without what is parked; and
 * compares them with the live ones. Those are seen at one moment, with their checkpoint, by a transaction that writes
 * nothing: a long one that does would keep the log from being delivered. Rebuilds wait, because they put other tables in
 * the place of those that are looked at.
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

  async *check(): AsyncGenerator<string> {
    const url = this.config.databaseUrl!;
    for (const projection of providersOf(this.discovery, Projection)) {
      yield* withPatientConnection(url, async function* (filling) {
        await keepRebuildsOut(filling, projection);
        const shadow = shadowOf(projection, 'verify');
        try {
          await inTransaction(filling, () => createShadow(filling, projection, shadow));
          yield* withPatientConnection(url, async function* (live) {
            await live.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' });
            yield* fill(filling, live, projection, shadow);
            yield* differences(filling, live, projection, shadow);
          });
        } finally {
          await dropShadow(filling, shadow);
          await letRebuildsIn(filling, projection);
        }
      });
    }
  }
}

/** Projects what the subscriber has dealt with. What it cannot digest now, though it is not parked, is told. */
async function* fill(
  filling: Connection,
  live: Connection,
  projection: Projection,
  shadow: string,
): AsyncGenerator<string> {
  const { name } = projection;
  const delivery = new ProjectionDelivery(projection, shadow);
  const [checkpoint = start] = await live.query<Position>(
    {
      text: `
        SELECT transaction_id::text AS "transactionId", position::text AS position FROM platform.subscriber
        WHERE name = $1`,
    },
    [name],
  );
  const undelivered = await live.query<{ stream: string; version: number }>(
    { text: 'SELECT stream, version::float8 AS version FROM platform.undelivered_event WHERE subscriber = $1' },
    [name],
  );
  const keyOf = (event: { stream: string; version: number }): string => `${event.version} ${event.stream}`;
  const waiting = new Set(undelivered.map(keyOf));
  for (let at = start; ;) {
    const events = await readAfter(filling, at, batchSize);
    const done = events.filter((event) => !isBehind(checkpoint, event));
    const wanted = done.filter((event) => delivery.wants(event.type) && !waiting.has(keyOf(event)));
    const failed = await inTransaction(filling, () => delivery.project(filling, wanted));
    for (const { event, error } of failed) {
      if (error instanceof Error)
        yield `${name} cannot project ${event.stream} version ${event.version}: ${error.message}`;
    }
    if (done.length < batchSize) return;
    at = done.at(-1)!;
  }
}

async function* differences(
  filling: Connection,
  live: Connection,
  { name, schema, tables }: Projection,
  shadow: string,
): AsyncGenerator<string> {
  await filling.query({ text: 'BEGIN READ ONLY' });
  for (const table of tables) {
    const place = `${name}: ${schema}.${table}`;
    for await (const { row, isLive } of onlyInOne(hashed(live, schema, table), hashed(filling, shadow, table)))
      yield isLive ? `${place} has what the log does not say: ${row}` : `${place} lacks ${row}`;
  }
}

interface HashedRow {
  readonly hash: string;
  readonly row: string;
}

/** The rows of a table in the order of their hashes, in which two sessions can be compared. */
const hashed = (connection: Connection, schema: string, table: string): AsyncGenerator<HashedRow> =>
  rowsOf<HashedRow>(
    connection,
    `SELECT md5(row::text) AS hash, row::text AS row FROM ${schema}.${table} AS row ORDER BY md5(row::text) COLLATE "C"`,
  );

/** The rows that only one of two tables has, or has more often. */
async function* onlyInOne(
  live: AsyncGenerator<HashedRow>,
  fresh: AsyncGenerator<HashedRow>,
): AsyncGenerator<{ row: string; isLive: boolean }> {
  const next = async (rows: AsyncGenerator<HashedRow>): Promise<HashedRow | undefined> =>
    (await rows.next()).value as HashedRow | undefined;
  let [a, b] = [await next(live), await next(fresh)];
  while (a || b) {
    if (a?.hash === b?.hash) [a, b] = [await next(live), await next(fresh)];
    else if (a && (!b || a.hash < b.hash)) {
      yield { row: a.row, isLive: true };
      a = await next(live);
    } else {
      yield { row: b!.row, isLive: false };
      b = await next(fresh);
    }
  }
}
