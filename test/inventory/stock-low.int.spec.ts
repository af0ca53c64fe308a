import fc from 'fast-check';
import { Logger } from '@nestjs/common';
import {
  Allocated,
  BatchCancelled,
  BatchCreated,
  BatchQuantityChanged,
  Deallocated,
} from '../../src/allocation/contract/events';
import { ThresholdSet } from '../../src/inventory/contract/events';
import type { WatchStock } from '../../src/inventory/reactions/watch-stock.publisher';
import type { Database } from '../../src/platform/database/database';
import { isBehind, readHead } from '../../src/platform/event-log/event-log-reader';
import type { Position, StoredEvent } from '../../src/platform/event-log/stored-event';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { relayOf } from '../support/relay-world';
import { type Replica, replicaOver, until } from '../support/replica';
import { logOf, thresholdsOn, told, watcherOn } from './stock-low-world';

describe('Low stock', () => {
  let db: TestDatabase;
  let database: Database;
  let otherReplica: Database;
  let replica: Replica;
  let watcher: WatchStock;
  let other: WatchStock;
  let setThreshold: ReturnType<typeof thresholdsOn>;
  let read: () => Promise<StoredEvent[]>;
  let skus = 0;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    db = await freshDatabase();
    database = await db.connect();
    otherReplica = await db.connect();
    replica = replicaOver(database);
    watcher = watcherOn(database);
    other = watcherOn(otherReplica);
    setThreshold = thresholdsOn(database);
    read = logOf(database);
  });
  afterAll(() => db.drop());

  /** Lets the watcher see what is new in the log. */
  const watch = async (): Promise<void> => {
    const events = (await read()).filter(({ type }) => watcher.events.some((one) => one.type === type));
    if (events.length > 0) await watcher.publish(events);
  };
  const someSku = (): string => `SKU-${(skus += 1)}`;
  const allocate = (sku: string, qty: number, order = `o${(skus += 1)}`) => replica.allocate(line(order, sku, qty));

  it('is told once when it falls to the reorder point, and again only when it has recovered in between', async () => {
    const sku = someSku();
    await setThreshold(sku, 10, 15);
    await replica.createBatch(`${sku}-1`, sku, 20);
    await watch();
    expect(await told(database, sku)).toEqual([]);
    await allocate(sku, 10);
    await watch();
    await allocate(sku, 1);
    await watch();
    expect(await told(database, sku)).toEqual(['low 10']);
    await replica.createBatch(`${sku}-2`, sku, 5);
    await watch();
    await allocate(sku, 4);
    await watch();
    expect(await told(database, sku)).toEqual(['low 10']);
    await replica.createBatch(`${sku}-3`, sku, 5, '2031-01-01');
    await watch();
    await allocate(sku, 5);
    await watch();
    expect(await told(database, sku)).toEqual(['low 10', 'recovered 15', 'low 10']);
  });

  it('names what it was seen by, and what caused it', async () => {
    const sku = someSku();
    await setThreshold('SKU-*', 3);
    await replica.createBatch(`${sku}-1`, sku, 4);
    await allocate(sku, 2);
    await watch();
    const [event] = await database.query(
      {
        text: `
        SELECT low.version::int AS version, low.data, low.actor, cause.type AS cause FROM platform.event AS low
        JOIN platform.event AS cause ON cause.id::text = low.causation_id WHERE low.stream = $1`,
      },
      [`stock:${sku}`],
    );
    expect(event).toEqual({
      version: 1,
      data: { sku, available: 2, skuVersion: 2, pattern: 'SKU-*', reorderPoint: 3, clearAt: 4 },
      actor: 'reaction:watch-stock',
      cause: Allocated.type,
    });
    await setThreshold('SKU-*', null);
    await watch();
    expect(await told(database, sku)).toEqual(['low 2', 'recovered 2']);
  });

  it('does not ring for what came and went inside one command', async () => {
    const sku = someSku();
    await setThreshold(sku, 5);
    await replica.createBatch(`${sku}-1`, sku, 20);
    await allocate(sku, 16, `${sku}-a`);
    await watch();
    await replica.amendLine({ orderId: `${sku}-a`, lineId: '1', sku }, 17);
    await watch();
    expect(await told(database, sku)).toEqual(['low 4']);
  });

  it('is judged when a threshold is set, changed or removed', async () => {
    const sku = someSku();
    await replica.createBatch(`${sku}-1`, sku, 20);
    await watch();
    const after = async (...threshold: [number | null, number?]) => {
      await setThreshold(sku, ...threshold);
      await watch();
      return told(database, sku);
    };
    expect(await after(19)).toEqual([]);
    expect(await after(20, 40)).toEqual(['low 20']);
    expect(await after(10, 21)).toEqual(['low 20']);
    expect(await after(10, 20)).toEqual(['low 20', 'recovered 20']);
    expect(await after(30)).toEqual(['low 20', 'recovered 20', 'low 20']);
    expect(await after(null)).toEqual(['low 20', 'recovered 20', 'low 20', 'recovered 20']);
  });

  it('is judged by the most specific threshold', async () => {
    const sku = 'TABLE-OAK';
    await replica.createBatch('oak-1', sku, 20);
    const tell = async (pattern: string, reorderPoint: number | null) => {
      await setThreshold(pattern, reorderPoint);
      await watch();
      return (await told(database, sku)).length;
    };
    expect(await tell('TABLE-*', 20)).toBe(1);
    expect(await tell('*', 5)).toBe(1);
    expect(await tell('TABLE-O*', 10)).toBe(2);
    expect(await tell(sku, 100)).toBe(3);
    expect(await tell(sku, null)).toBe(4);
    expect(await tell('TABLE-O*', null)).toBe(5);
    expect(await tell('TABLE-*', null)).toBe(6);
    expect(await tell('*', null)).toBe(6);
  });

  it('is found among any number of SKUs when a pattern gets a threshold, a page at a time', async () => {
    await Promise.all(Array.from({ length: 1_100 }, (_, n) => replica.createBatch(`many-${n}`, `MANY-${n}`, n % 20)));
    await replica.createBatch('few-1', 'FEW', 1);
    await setThreshold('MANY-*', 9);
    await watch();
    const low = { text: `SELECT count(*)::int AS low FROM inventory.stock_watch WHERE low AND sku LIKE 'MANY-%'` };
    expect(await database.query(low)).toEqual([{ low: 550 }]);
    expect(await told(database, 'FEW')).toEqual([]);
    await setThreshold('MANY-*', null);
    await watch();
    expect(await database.query(low)).toEqual([{ low: 0 }]);
  });

  it('is looked for once because of one threshold, although the relay asks again before that is over', async () => {
    const sku = someSku();
    await replica.createBatch(`${sku}-1`, sku, 1);
    await watch();
    let asked = 0;
    let answer = (_skus: string[]): void => undefined;
    const slow = watcherOn(database, () => {
      asked += 1;
      return new Promise<string[]>((resolve) => (answer = resolve));
    });
    await setThreshold(`${sku}*`, 1);
    const events = (await read()).filter(({ type }) => type === ThresholdSet.type);
    const attempts = [slow.publish(events), slow.publish(events)];
    await until(() => asked > 0);
    answer([sku]);
    await Promise.all(attempts);
    await slow.publish(events);
    expect(asked).toBe(1);
    expect(await told(database, sku)).toEqual(['low 1']);

    await setThreshold(`${sku}*`, 2);
    const later = slow.publish((await read()).filter(({ type }) => type === ThresholdSet.type));
    await until(() => asked === 2);
    answer([]);
    await later;
  });

  it('is looked for anew when that has failed', async () => {
    const sku = someSku();
    await replica.createBatch(`${sku}-1`, sku, 1);
    await setThreshold(`${sku}*`, 1);
    const events = (await read()).filter(({ type }) => type === ThresholdSet.type);
    let broken = true;
    const failing = watcherOn(database, () =>
      broken ? Promise.reject(new Error('out of reach')) : Promise.resolve([sku]),
    );
    await expect(failing.publish(events)).rejects.toThrow('out of reach');
    broken = false;
    await failing.publish(events);
    expect(await told(database, sku)).toEqual(['low 1']);
  });

  it('is looked for from where a replica that has ended came to, and from the first SKU for another threshold', async () => {
    const sku = someSku();
    const pageful = Array.from({ length: 500 }, (_, n) => `${sku}-${String(n).padStart(3, '0')}`);
    const changed = async (reorderPoint: number) => {
      await setThreshold(`${sku}*`, reorderPoint);
      return (await read()).filter(({ type }) => type === ThresholdSet.type);
    };
    const events = await changed(1);
    const ending = watcherOn(database, ({ after }) =>
      after === '' ? Promise.resolve(pageful) : Promise.reject(new Error('out of reach')),
    );
    await expect(ending.publish(events)).rejects.toThrow('out of reach');

    const asked: string[] = [];
    const next = watcherOn(database, ({ after }) => Promise.resolve((asked.push(after), [])));
    await next.publish(events);
    await next.publish(await changed(2));
    expect(asked).toEqual([pageful.at(-1), '']);
  });

  it('is not told of a SKU that never had a batch', async () => {
    await setThreshold('NOTHING', 10);
    await watch();
    expect(await told(database, 'NOTHING')).toEqual([]);
  });

  it('is told as a model says over random histories, however often events are delivered, and by whom', async () => {
    type Step =
      | { do: 'stock' | 'promise' | 'recount'; units: number }
      | { do: 'release' | 'cancel'; nth: number }
      | { do: 'threshold'; units: number | null; width: number };
    const units = fc.integer({ min: 1, max: 12 });
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('stock', 'promise', 'promise', 'promise', 'recount'), units }),
      fc.record({ do: fc.constantFrom('release', 'release', 'cancel'), nth: fc.nat({ max: 20 }) }),
      fc.record({ do: fc.constant('threshold'), units: fc.option(units), width: fc.integer({ min: 1, max: 6 }) }),
    ) as fc.Arbitrary<Step>;
    const delivery = fc.constantFrom('once', 'twice', 'apart', 'by both', 'all again');

    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, delivery), { minLength: 5, maxLength: 25 }), async (history) => {
        const sku = someSku();
        const expected: string[] = [];
        const before: StoredEvent[] = [];
        const batches: string[] = [];
        const orders: string[] = [];
        let threshold: { low: number; clear: number } | null = null;
        let low = false;
        for (const [action, how] of history) {
          const nth = <T>(of: readonly T[]): T | undefined =>
            of['nth' in action ? action.nth % of.length : of.length - 1];
          if (action.do === 'stock') {
            batches.push(`${sku}-${batches.length}`);
            await replica.createBatch(batches.at(-1)!, sku, action.units);
          } else if (action.do === 'promise' && batches.length > 0) {
            orders.push(`${sku}-${orders.length}`);
            await allocate(sku, action.units, orders.at(-1));
          } else if (action.do === 'recount' && batches.length > 0) {
            await replica.changeBatch(nth(batches)!, { qty: action.units }).catch(() => undefined);
          } else if (action.do === 'release' && orders.length > 0) {
            await replica.releaseOrder(nth(orders)!);
          } else if (action.do === 'cancel' && batches.length > 0) {
            await replica.cancelBatch(nth(batches)!).catch(() => undefined);
          } else if (action.do === 'threshold' && (action.units !== null || threshold !== null)) {
            threshold = action.units === null ? null : { low: action.units, clear: action.units + action.width };
            await setThreshold(sku, threshold?.low ?? null, threshold?.clear);
          }
          const [left] = await database.query<{ units: number }>(
            {
              text: 'SELECT sum(purchased - promised)::int AS units FROM allocation.batch WHERE sku = $1 AND NOT cancelled',
            },
            [sku],
          );
          const available = left?.units ?? 0;
          if (batches.length > 0 && !low && threshold && available <= threshold.low) {
            low = true;
            expected.push(`low ${available}`);
          } else if (low && (!threshold || available >= threshold.clear)) {
            low = false;
            expected.push(`recovered ${available}`);
          }

          const events = (await read()).filter(({ type }) => watcher.events.some((one) => one.type === type));
          before.push(...events);
          if (how === 'apart') for (const event of events) await watcher.publish([event]);
          else if (how === 'by both') await Promise.all([watcher.publish(events), other.publish(events)]);
          else await watcher.publish(how === 'all again' ? before : events);
          if (how === 'twice') await other.publish(events);
        }
        expect(await told(database, sku)).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  it('is told truly, in turn, and of how it ends, while many promise and give back and two relays watch', async () => {
    const sku = 'BUSY';
    const relays = [
      relayOf(database, [watcher], { leaseSeconds: 0.3 }),
      relayOf(otherReplica, [other], { leaseSeconds: 0.3 }),
    ];
    await setThreshold(sku, 20, 30);
    await replica.createBatch('busy-1', sku, 60);
    for (const { relay } of relays) relay.start();
    for (let wave = 0; wave < 12; wave += 1) {
      const orders = Array.from({ length: 50 }, (_, n) => `busy-${wave}-${n}`);
      await Promise.all(orders.map((order) => allocate(sku, 1, order)));
      await Promise.all(orders.slice(0, wave === 11 ? 5 : 50).map((order) => replica.releaseOrder(order)));
      if (wave === 5) await relays[0]!.relay.stop();
    }
    await caughtUp();
    await relays[1]!.relay.stop();

    const rows = await database.query<{ low: boolean; version: number; available: number; at: number }>({
      text: `
        SELECT type = 'inventory.stock-low.v1' AS low, version::int AS version, (data ->> 'available')::int AS available,
               (data ->> 'skuVersion')::int AS at
        FROM platform.event WHERE stream = 'stock:BUSY' ORDER BY version`,
    });
    const levels = await levelsOf(sku);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ low }) => low)).toEqual(rows.map((_, place) => place % 2 === 0));
    expect(rows.map(({ version }) => version)).toEqual(rows.map((_, place) => place + 1));
    expect(rows.map(({ available }) => available)).toEqual(rows.map(({ at }) => levels[at - 1]));
    expect(levels.at(-1)).toBe(15);
    expect(rows.at(-1)!.low).toBe(true);

    await database.query({ text: `UPDATE platform.subscriber SET transaction_id = '0', position = 0, owner = NULL` });
    const again = relayOf(database, [watcher]);
    again.relay.start();
    await caughtUp();
    await again.relay.stop();
    expect(await told(database, sku)).toHaveLength(rows.length);
  });

  /** Until the watcher has read the whole log. */
  const caughtUp = () =>
    until(async () => {
      const at = await database.query<Position>({
        text: `
          SELECT transaction_id::text AS "transactionId", position::text AS position FROM platform.subscriber
          WHERE name = 'watch-stock'`,
      });
      return at[0] !== undefined && !isBehind(at[0], (await readHead(database))!);
    });

  /** What the events say was left of a SKU at each of its versions. */
  const levelsOf = async (sku: string): Promise<number[]> => {
    const events = await database.query<{
      type: string;
      data: { qty: number; previousQty: number; batchRef: unknown };
    }>({ text: `SELECT type, data FROM platform.event WHERE stream = 'product:' || $1 ORDER BY version` }, [sku]);
    let available = 0;
    return events.map(({ type, data }) => {
      if (type === BatchCancelled.type) throw new Error('nothing is cancelled here');
      if (type === BatchCreated.type) available += data.qty;
      else if (type === BatchQuantityChanged.type) available += data.qty - data.previousQty;
      else if (type === Allocated.type) available -= data.qty;
      else if (type === Deallocated.type && data.batchRef !== null) available += data.qty;
      return available;
    });
  };
});
