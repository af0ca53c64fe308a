import { Logger } from '@nestjs/common';
import type { Database } from '../../src/platform/database/database';
import type { StoredEvent } from '../../src/platform/event-log/stored-event';
import { Lost, OutOfReach, Publisher } from '../../src/platform/event-log/subscriber';
import { logInvariants } from '../../src/platform/verify/log-invariants';
import { freshDatabase, type TestDatabase } from '../support/database';
import { appended, impatient, keyOf, relayOf, type RunningRelay } from '../support/relay-world';
import { until } from '../support/replica';

/** Keeps what it is given as long as it is told to, and gives the number of the batch as the receipt. */
class Shelf extends Publisher {
  readonly name = 'shelf';
  got: string[] = [];
  readonly receipts: (string | null)[] = [];
  batches = 0;
  empty = false;
  before: (event: StoredEvent) => void = () => undefined;

  async publish(events: readonly StoredEvent[], receipt: string | null): Promise<string> {
    await this.check(receipt);
    for (const event of events) this.before(event);
    this.receipts.push(receipt);
    this.got.push(...events.map(keyOf));
    this.batches += 1;
    return String(this.batches);
  }

  override async check(receipt: string | null): Promise<void> {
    if (!this.empty || receipt === null) return;
    this.empty = false;
    throw new Lost('somebody has cleared the shelf', 3);
  }
}

describe('A publisher whose receiver has lost what it had', () => {
  let test: TestDatabase;
  let database: Database;
  let shelf: Shelf;
  let running: RunningRelay | undefined;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(async () => {
    test = await freshDatabase();
    database = await test.connect();
    shelf = new Shelf();
  });
  afterEach(async () => {
    await running?.relay.stop();
    await test.drop();
  });

  const start = (): RunningRelay => {
    running = relayOf(database, [shelf], { attempts: impatient(2) });
    running.relay.start();
    return running;
  };
  const thing = (...versions: number[]): string[] => versions.map((version) => `thing:a/${version}`);

  it('is given the receipt of its last batch, whichever replica it is', async () => {
    start();
    await appended(database, 'thing:a');
    await until(() => shelf.batches === 1);
    await running!.relay.stop();
    start();
    await appended(database, 'thing:a');
    await until(() => shelf.batches === 2);
    expect(shelf.receipts).toEqual([null, '1']);
  });

  it('gets as many events again as it asks for, and then what is new', async () => {
    start();
    await appended(database, 'thing:a', 5);
    await until(() => shelf.got.length === 5);
    await running!.relay.stop();
    Object.assign(shelf, { got: [], empty: true });
    await appended(database, 'thing:a', 2);
    start();
    await until(() => shelf.got.length === 5);
    expect(shelf.got).toEqual(thing(3, 4, 5, 6, 7));
    expect(shelf.receipts.at(-1)).toBeNull();
  });

  it('gets them also while nothing new happens', async () => {
    start();
    await appended(database, 'thing:a', 2);
    await until(() => shelf.got.length === 2);
    Object.assign(shelf, { got: [], empty: true });
    await until(() => shelf.got.length === 2);
    expect(shelf.got).toEqual(thing(1, 2));
  });

  it('gets an event that it could not digest once more, in its turn', async () => {
    shelf.before = ({ version }) => {
      if (version === 5) throw new Error('indigestible');
    };
    const { metric } = start();
    await appended(database, 'thing:a', 6);
    // It gets through, so that the other one has a fault of its own.
    await appended(database, 'thing:b');
    await until(async () => (await metric('batchwise_subscriber_dead_letters', 'shelf')) === 1);
    await until(async () => (await metric('batchwise_subscriber_lag_events', 'shelf')) === 0);
    shelf.before = () => undefined;
    Object.assign(shelf, { got: [], empty: true });
    await until(() => shelf.got.length === 3);
    expect(shelf.got).toEqual([...thing(5, 6), 'thing:b/1']);
    expect(await metric('batchwise_subscriber_dead_letters', 'shelf')).toBe(0);
    await database.transaction(async (snapshot) => {
      for (const invariant of logInvariants)
        for await (const broken of new invariant().check(snapshot)) throw new Error(broken);
    });
  });

  it('is out of reach without an event being blamed, be it parked or not', async () => {
    let reachable = true;
    shelf.before = ({ stream }) => {
      if (!reachable) throw new OutOfReach('nobody answers');
      if (stream === 'thing:bad') throw new Error('indigestible');
    };
    running = relayOf(database, [shelf], { attempts: { max: 3, wait: (attempts) => (attempts === 1 ? 3600 : 0) } });
    running.relay.start();
    await appended(database, 'thing:bad');
    await appended(database, 'thing:a');
    await until(async () => (await running!.metric('batchwise_subscriber_parked_events', 'shelf')) === 1);
    reachable = false;
    const failures = async () => (await running!.metric('batchwise_subscriber_failures_total', 'shelf')) ?? 0;
    const before = await failures();
    await database.query({ text: 'UPDATE platform.parked_event SET next_attempt_at = clock_timestamp()' });
    await until(async () => (await failures()) > before);
    await appended(database, 'thing:a', 2);
    await until(async () => (await failures()) > before + 2);
    const rows = await database.query({ text: 'SELECT stream, attempts, dead_at FROM platform.parked_event' });
    expect(rows).toEqual([{ stream: 'thing:bad', attempts: 1, dead_at: null }]);
    reachable = true;
    // One may have come twice: as the proof that others get through, and in its turn.
    await until(() => new Set(shelf.got).size === 3);
  });
});
