import * as fc from 'fast-check';
import type { Client } from 'pg';
import { type BatchState, GetOrder, type LineState, ListBatches } from '../../src/allocation/contract/queries';
import { ListBatchesHandler } from '../../src/allocation/queries/batches.query';
import { GetOrderHandler } from '../../src/allocation/queries/order.query';
import type { StockNumbers } from '../../src/inventory/contract/queries';
import { DomainError } from '../../src/kernel/domain-error';
import type { Database } from '../../src/platform/database/database';
import { type Commands, line } from '../support/allocation-commands';
import { freshDatabase } from '../support/database';
import { type Replica, replicaOver } from '../support/replica';

type Step = { [K in keyof Commands]: { name: K; args: Parameters<Commands[K]> } }[keyof Commands];

// Few names and small numbers, so that commands meet each other all the time.
export const skus = ['LAMP', 'SOFA'];
const orders = ['o1', 'o2', 'o3', 'o-4', 'o.5'];
const sku = fc.constantFrom('LAMP', 'LAMP', 'SOFA');
const ref = fc.constantFrom('b1', 'b2', 'b3', 'b4');
const eta = fc.constantFrom(null, '2031-01-01', '2031-01-02');
const lineQty = fc.integer({ min: 1, max: 6 });
const requested = fc
  .tuple(fc.constantFrom(...orders), sku, lineQty, fc.constantFrom('1', '1-a'))
  .map((args) => line(...args));
const options = fc.record(
  { whenOutOfStock: fc.constantFrom('refuse', 'backorder', 'backorder'), priority: fc.integer({ min: -1, max: 1 }) },
  { requiredKeys: [] },
);
const change = fc.record({ qty: fc.nat(12), eta }, { requiredKeys: [] });

const step = (name: keyof Commands, args: fc.Arbitrary<readonly unknown[]>) =>
  args.map((args) => ({ name, args }) as unknown as Step);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: step('createBatch', fc.tuple(ref, sku, fc.nat(12), eta)) },
  { weight: 4, arbitrary: step('changeBatch', fc.tuple(ref, change)) },
  { weight: 1, arbitrary: step('cancelBatch', fc.tuple(ref)) },
  { weight: 8, arbitrary: step('allocate', fc.tuple(requested, options)) },
  { weight: 3, arbitrary: step('amendLine', fc.tuple(requested, lineQty)) },
  { weight: 2, arbitrary: step('releaseLine', fc.tuple(requested)) },
  { weight: 1, arbitrary: step('releaseOrder', fc.tuple(fc.constantFrom(...orders))) },
);

/** Where a suite plays. */
export interface Stage {
  readonly client: Client;
  readonly database: Database;
  readonly commands: Replica;
}

/** A database for the suite that calls it, there from its first `beforeAll` on. */
export function stage(): Stage {
  const stage: { -readonly [K in keyof Stage]?: Stage[K] } = {};
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const db = await freshDatabase();
    const database = await db.connect();
    ({ drop } = db);
    Object.assign(stage, { client: await db.client(), database, commands: replicaOver(database) });
  });
  afterAll(() => drop());
  return stage as Stage;
}

/** Commands one after the other, and then some at once. */
export const histories = fc.record({
  first: step('createBatch', fc.tuple(ref, sku, fc.integer({ min: 5, max: 12 }), eta)),
  oneByOne: fc.array(steps, { minLength: 4, maxLength: 14, size: 'max' }),
  atOnce: fc.array(steps, { maxLength: 6 }),
});
type History = typeof histories extends fc.Arbitrary<infer T> ? T : never;

/** A SKU as its rows show it right after a change. */
export interface Moment {
  readonly sku: string;
  readonly version: number;
  readonly occurredAt: string;
  readonly numbers: StockNumbers;
  readonly batches: readonly BatchState[];
  readonly promises: readonly object[];
}

/** Plays a history on empty tables and notes, after every command, what the rows of each SKU show. */
export async function played(
  { first, oneByOne, atOnce }: History,
  { commands, database, client }: Stage,
): Promise<Moment[]> {
  await client.query(`
    TRUNCATE platform.event, allocation.product, allocation.batch_ref, allocation.batch, allocation.line,
      allocation.order_line`);
  const send = async ({ name, args }: Step): Promise<void> => {
    try {
      await (commands[name] as (...args: unknown[]) => Promise<unknown>)(...args);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
    }
  };
  const moments: Moment[] = [];
  const note = async (): Promise<void> => {
    for (const sku of skus) {
      const moment = await momentOf(sku, database, client);
      const known = moments.findLast((one) => one.sku === sku);
      if (moment && moment.version !== known?.version) moments.push(moment);
    }
  };
  for (const one of [first, ...oneByOne]) {
    await send(one);
    await note();
  }
  await Promise.all(atOnce.map(send));
  await note();
  return moments;
}

async function momentOf(sku: string, database: Database, client: Client): Promise<Moment | undefined> {
  const { rows } = await client.query<{ version: number; occurredAt: string }>(
    `SELECT version::int AS version, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "occurredAt"
     FROM platform.event WHERE stream = 'product:' || $1 ORDER BY version DESC LIMIT 1`,
    [sku],
  );
  if (!rows[0]) return undefined;
  const { batches } = await new ListBatchesHandler(database).execute(new ListBatches(200, sku));
  const found = await Promise.all(orders.map((order) => new GetOrderHandler(database).execute(new GetOrder(order))));
  const lines = found.flat().filter((one) => one.sku === sku);
  return { sku, ...rows[0], numbers: numbersOf(batches, lines), batches, promises: promisesOf(lines) };
}

function numbersOf(batches: readonly BatchState[], lines: readonly LineState[]): StockNumbers {
  const sum = (units: readonly number[]) => units.reduce((total, one) => total + one, 0);
  const purchased = (here: boolean) =>
    sum(batches.filter(({ eta, cancelled }) => !cancelled && (eta === null) === here).map((batch) => batch.purchased));
  const qty = (status: string) => sum(lines.filter((line) => line.status === status).map((line) => line.qty));
  const available = sum(batches.map((batch) => batch.available));
  return {
    onHand: purchased(true),
    inbound: purchased(false),
    promised: qty('promised'),
    available,
    backordered: qty('backordered'),
  };
}

const promisesOf = (lines: readonly LineState[]): object[] =>
  lines
    .filter(({ status }) => status === 'promised')
    .sort((a, b) => (a.orderId === b.orderId ? (a.lineId < b.lineId ? -1 : 1) : a.orderId < b.orderId ? -1 : 1))
    .map(({ orderId, lineId, qty, batchRef, eta }) => ({ orderId, lineId, qty, batchRef, eta }));
