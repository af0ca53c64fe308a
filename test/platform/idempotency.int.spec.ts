import type { Client } from 'pg';
import { Overloaded } from '../../src/kernel/unit-of-work';
import { Connection } from '../../src/platform/database/database';
import { IdempotencyKey } from '../../src/platform/idempotency/idempotency-key';
import { inContext } from '../../src/platform/request-context';
import { ForgetOldUnits } from '../../src/platform/unit-of-work/forget-old-units';
import { line } from '../support/allocation-commands';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PostgresProxy } from '../support/postgres-proxy';
import { impatientDatabase, type Replica, replicaOver, until } from '../support/replica';

const scope = 'key:shop POST /v1/allocations';

describe('A command with an idempotency key', () => {
  let db: TestDatabase;
  let client: Client;
  let replica: Replica;
  let other: Replica;
  /** Sizes and outcomes of the replica's groups, as they end. */
  const groups: string[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  let tests = 0;
  let requests = 0;
  let sku: string, ref: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const watch = { groupEnded: (works: number, outcome: string) => void groups.push(`${works} ${outcome}`) };
    replica = replicaOver(await db.connect(), {}, watch);
    other = replicaOver(await db.connect());
  });
  afterAll(() => db.drop());
  beforeEach(async () => {
    tests += 1;
    [sku, ref] = [`SKU-${tests}`, `batch-${tests}`];
    await replica.createBatch(ref, sku, 10);
    groups.length = 0;
  });
  afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

  const order = (name: string, qty = 1, of = sku) => line(`${name}-${tests}`, of, qty);
  const called = (name: string): string => `${name}-${tests}`;

  /** What a request with a key is answered, and the id of the request that got the answer first, if that is another one. */
  const ask = async (name: string, action: () => Promise<unknown>, content: unknown = action.toString()) => {
    const id = `request-${(requests += 1)}`;
    let repeatOf: string | undefined;
    const request = { id, content: () => content, repeats: (first: string) => void (repeatOf = first) };
    const idempotencyKey = new IdempotencyKey(scope, called(name), request);
    const context = { actor: 'key:shop', correlationId: null, causationId: id, idempotencyKey };
    const answer = await inContext(context, action).then(
      (result) => JSON.stringify(result),
      (error: { code?: string; message: string; details?: object }) =>
        `${error.code}: ${error.message} ${JSON.stringify(error.details)}`,
    );
    return { id, answer, repeatOf };
  };
  const stored = async (name: string): Promise<unknown[]> =>
    (await client.query('SELECT outcome FROM platform.idempotency_key WHERE key = $1', [called(name)])).rows;
  const history = async (): Promise<string[]> => {
    const { rows } = await client.query<{ type: string; about: string | null }>(
      `SELECT type, data->>'orderId' AS about FROM platform.event WHERE stream = $1 AND version > 1 ORDER BY version`,
      [`product:${sku}`],
    );
    return rows.map(({ type, about }) => `${type.split('.')[1]} ${about?.replace(`-${tests}`, '')}`);
  };

  describe('takes effect once', () => {
    it('and is answered the same, whatever happened since', async () => {
      const first = await ask('k', () => replica.allocate(order('o1', 10)), 'o1');
      await other.releaseLine(order('o1'));
      await other.allocate(order('o2', 3));
      const again = await ask('k', () => other.allocate(order('o1', 10)), 'o1');
      expect(first.repeatOf).toBeUndefined();
      expect(again).toMatchObject({ answer: first.answer, repeatOf: first.id });
      expect(JSON.parse(again.answer)).toMatchObject({ status: 'promised', repeated: false });
      expect(await history()).toEqual(['allocated o1', 'deallocated o1', 'allocated o2']);
    });

    it('although it leads nowhere now', async () => {
      await replica.allocate(order('o1'));
      const release = () => replica.releaseOrder(called('o1'));
      const first = await ask('k', release);
      await client.query('DELETE FROM allocation.line WHERE order_id = $1', [called('o1')]);
      const again = await ask('k', release);
      expect(JSON.parse(first.answer)).toMatchObject({ released: [{ orderId: called('o1') }] });
      expect(again).toMatchObject({ answer: first.answer, repeatOf: first.id });
    });

    it('or not at all, if it led nowhere then', async () => {
      const release = () => replica.releaseOrder(called('late'));
      const first = await ask('k', release);
      await replica.allocate(order('late'));
      expect(await ask('k', release)).toMatchObject({ answer: '{"released":[],"promised":[]}', repeatOf: first.id });
      expect(await history()).toEqual(['allocated late']);
    });

    it('when two of it are in one group, which share the outcome', async () => {
      const allocate = () => replica.allocate(order('o1'));
      const [first, second, third] = await Promise.all([
        ask('k', allocate),
        ask('k', allocate),
        ask('other', () => replica.allocate(order('o2'))),
      ]);
      expect(groups).toEqual(['3 committed']);
      expect(second).toMatchObject({ answer: first.answer, repeatOf: first.id });
      expect(third.repeatOf).toBeUndefined();
      expect(await history()).toEqual(['allocated o1', 'allocated o2']);
    });

    it('when two replicas are asked at the same time, again and again', async () => {
      await replica.changeBatch(ref, { qty: 1_000 });
      const names = Array.from({ length: 40 }, (_, i) => `k${i}`);
      const answers = await Promise.all(
        names.flatMap((name) =>
          [replica, other, replica, other].map((one) => ask(name, () => one.allocate(order(name)), name)),
        ),
      );
      for (const [place, name] of names.entries()) {
        const ofOne = answers.slice(4 * place, 4 * place + 4);
        const told = ofOne.filter(({ answer }) => !answer.startsWith('idempotency-in-progress'));
        expect(new Set(told.map(({ answer }) => answer)).size).toBe(1);
        expect(told.filter(({ repeatOf }) => repeatOf === undefined)).toHaveLength(1);
        expect(JSON.parse(told[0]!.answer)).toMatchObject({ orderId: called(name), repeated: false });
      }
      expect((await history()).slice(1).sort()).toEqual(names.map((name) => `allocated ${name}`).sort());
    });
  });

  describe('is refused once', () => {
    it('and stays so, although it would be possible now', async () => {
      const [unknown, late] = [`NEW-${tests}`, called('late')];
      const commands = [
        () => replica.allocate(order('o1', 1, unknown)),
        () => replica.changeBatch(late, { qty: 5 }),
        () => replica.amendLine(order('o9'), 3),
      ];
      const first = await Promise.all(commands.map((command, i) => ask(`k${i}`, command)));
      await replica.createBatch(late, unknown, 10);
      await replica.allocate(order('o9'));
      const again = await Promise.all(commands.map((command, i) => ask(`k${i}`, command)));
      expect(first.map(({ answer }) => answer.split(':')[0])).toEqual(['unknown-sku', 'unknown-batch', 'unknown-line']);
      expect(again.map(({ answer, repeatOf }) => [answer, repeatOf])).toEqual(
        first.map(({ answer, id }) => [answer, id]),
      );
    });

    it('among others that are not', async () => {
      const [, refused] = await Promise.all([
        replica.allocate(order('o1', 4)),
        ask('k', () => replica.allocate(order('o1', 5))),
      ]);
      expect(groups).toEqual(['2 committed']);
      await replica.releaseLine(order('o1'));
      const again = await ask('k', () => replica.allocate(order('o1', 5)));
      expect(again).toMatchObject({ answer: refused.answer, repeatOf: refused.id });
    });
  });

  it('that comes with another request is refused, in the same group and later, and the first stands', async () => {
    const [first, second] = await Promise.all([
      ask('k', () => replica.allocate(order('o1')), 'one'),
      ask('k', () => replica.allocate(order('o2')), 'another'),
    ]);
    const later = await ask('k', () => other.allocate(order('o3')), 'a third');
    for (const { answer, repeatOf } of [second, later])
      expect([answer, repeatOf]).toEqual([expect.stringMatching(/^idempotency-key-reused: /), undefined]);
    expect(await ask('k', () => other.allocate(order('o1')), 'one')).toMatchObject({ answer: first.answer });
    expect(await history()).toEqual(['allocated o1']);
  });

  it('says the same in whatever order its members are written', async () => {
    const allocate = () => replica.allocate(order('o1'));
    const first = await ask('k', allocate, [{ sku: 'A', lines: [{ x: 1, y: 2 }] }]);
    const again = await ask('k', allocate, [{ lines: [{ y: 2, x: 1 }], sku: 'A' }]);
    const changed = await ask('k', allocate, [{ lines: [{ y: 1, x: 2 }], sku: 'A' }]);
    expect(again.repeatOf).toBe(first.id);
    expect(changed.answer).toMatch(/^idempotency-key-reused/);
  });

  it('that someone else works on leaves its group, which does not wait', async () => {
    const elsewhere = await db.client();
    await elsewhere.query('BEGIN');
    await elsewhere.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `idempotency:${scope}\n${called('k')}`,
    ]);
    const allocate = () => replica.allocate(order('o1'));
    const [held, free, without] = await Promise.all([
      ask('k', allocate),
      ask('free', () => replica.allocate(order('o2'))),
      replica.allocate(order('o3')),
    ]);
    expect(held.answer).toMatch(/^idempotency-in-progress: /);
    expect([JSON.parse(free.answer), without]).toMatchObject([{ status: 'promised' }, { status: 'promised' }]);
    expect(groups).toEqual(['3 committed']);
    await elsewhere.query('ROLLBACK');
    expect(JSON.parse((await ask('k', allocate)).answer)).toMatchObject({ status: 'promised', repeated: false });
    expect(await history()).toEqual(['allocated o2', 'allocated o3', 'allocated o1']);
  });

  describe('keeps nothing', () => {
    it('of what could not be done, or went wrong', async () => {
      const proxy = await PostgresProxy.before(db.url);
      const hasty = replicaOver(await db.connect(proxy.url), { deadline: 200 });
      closing.push(() => proxy.close());
      await hasty.allocate(order('first'));
      const held = proxy.holdAt('BEGIN');
      const late = ask('k', () => hasty.allocate(order('o1')), 'o1');
      await held;
      expect((await late).answer).toMatch(/^overloaded: /);
      proxy.goOn();
      await hasty.unitOfWork.idle();
      for (const error of [new Error('a mistake'), new Overloaded('not now')]) {
        const failing = () =>
          replica.unitOfWork.run({ skus: [sku] }, () => {
            throw error;
          });
        expect((await ask('failed', failing)).answer).toMatch(error.message);
      }
      expect([...(await stored('k')), ...(await stored('failed'))]).toEqual([]);
      expect(JSON.parse((await ask('k', () => replica.allocate(order('o1')), 'o1')).answer)).toMatchObject({
        status: 'promised',
        repeated: false,
      });
    });

    it('after seven days', async () => {
      const allocate = () => replica.allocate(order('o1'));
      const age = (interval: string) =>
        client.query('UPDATE platform.idempotency_key SET stored_at = now() - $2::interval WHERE key = $1', [
          called('k'),
          interval,
        ]);
      const first = await ask('k', allocate);
      await age('6 days 23 hours');
      expect((await ask('k', allocate)).repeatOf).toBe(first.id);
      await age('7 days 1 second');
      const second = await ask('k', allocate, 'something else, and nobody minds');
      expect(JSON.parse(second.answer)).toMatchObject({ repeated: true });
      expect((await ask('k', allocate, 'something else, and nobody minds')).repeatOf).toBe(second.id);
      await new ForgetOldUnits(await db.connect()).forget(Date.now());
      expect(await stored('k')).toHaveLength(1);
      await age('7 days 1 second');
      await new ForgetOldUnits(await db.connect()).forget(Date.now());
      expect(await stored('k')).toEqual([]);
    });

    it('and asks for nothing, without the key', async () => {
      const sent = jest.spyOn(Connection.prototype, 'run');
      await Promise.all([replica.allocate(order('o1')), replica.allocate(order('o2'))]);
      const names = sent.mock.calls.map(([{ name }]) => name);
      sent.mockRestore();
      expect(names).toContain('insert platform.event');
      expect(names.filter((name) => name?.startsWith('idempotency'))).toEqual([]);
    });
  });

  it('keeps an outcome for each unit of work of its request', async () => {
    const both = async () => [await replica.allocate(order('o1')), await replica.allocate(order('o2'))];
    const first = await ask('k', both);
    await replica.releaseLine(order('o1'));
    await replica.releaseLine(order('o2'));
    expect(await ask('k', both)).toMatchObject({ answer: first.answer, repeatOf: first.id });
    expect(await history()).toEqual(['allocated o1', 'allocated o2', 'deallocated o1', 'deallocated o2']);
  });

  describe('whose COMMIT was in doubt', () => {
    let proxy: PostgresProxy;
    const behindProxy = async (deadline = 5_000): Promise<Replica> => {
      const { database, close } = await impatientDatabase(proxy.url, { answer: 300 });
      closing.push(close);
      return replicaOver(database, { deadline });
    };
    beforeEach(async () => {
      proxy = await PostgresProxy.before(db.url);
    });
    afterEach(() => proxy.close());

    it('and had happened, is answered like its group, and so again', async () => {
      const behind = await behindProxy();
      const allocate = (by: Replica) => ask('k', () => by.allocate(order('o1', 10)), 'o1');
      const struck = proxy.nextCommit('cut after');
      const group = [allocate(behind), allocate(behind), ask('r', () => behind.allocate(order('o2', 1, 'NONE')), 'r')];
      await struck;
      await other.releaseLine(order('o1'));
      proxy.goOn();
      const [first, shared, refused] = await Promise.all(group);
      expect(JSON.parse(first!.answer)).toMatchObject({ status: 'promised', repeated: false });
      expect(shared).toMatchObject({ answer: first!.answer, repeatOf: first!.id });
      expect(await allocate(other)).toMatchObject({ answer: first!.answer, repeatOf: first!.id });
      const refusal = await ask('r', () => other.allocate(order('o2', 1, 'NONE')), 'r');
      expect(refusal).toMatchObject({ answer: refused!.answer, repeatOf: refused!.id });
      expect(await history()).toEqual(['allocated o1', 'deallocated o1']);
    });

    it('and had happened, with nothing but refusals, stays refused', async () => {
      const behind = await behindProxy();
      const struck = proxy.nextCommit('cut after');
      const refused = ask('k', () => behind.allocate(order('o1', 1, 'NONE')), 'o1');
      await struck;
      proxy.goOn();
      expect((await refused).answer).toMatch(/^unknown-sku/);
      expect(await stored('k')).toHaveLength(1);
    });

    it('and had not happened, is run again, once', async () => {
      const behind = await behindProxy();
      const struck = proxy.nextCommit('cut before');
      const first = ask('k', () => behind.allocate(order('o1')), 'o1');
      await struck;
      expect(await stored('k')).toEqual([]);
      proxy.goOn();
      expect(await first).toMatchObject({ repeatOf: undefined, answer: expect.stringContaining('"promised"') });
      expect(await history()).toEqual(['allocated o1']);
    });

    it('and had not happened, is answered as the same request was elsewhere meanwhile', async () => {
      const behind = await behindProxy();
      const struck = proxy.nextCommit('cut before');
      const first = ask('k', () => behind.allocate(order('o1')), 'o1');
      await struck;
      const meanwhile = await ask('k', () => other.allocate(order('o1')), 'o1');
      await other.releaseLine(order('o1'));
      proxy.goOn();
      expect(await first).toMatchObject({ answer: meanwhile.answer, repeatOf: meanwhile.id });
      expect(await history()).toEqual(['allocated o1', 'deallocated o1']);
    });

    it.each([
      ['cut after', ['allocated o1', 'deallocated o1']],
      ['cut before', ['allocated o1']],
    ] as const)(
      'until its caller was told so, has taken effect once when it is sent again (%s)',
      async (fault, left) => {
        const hasty = await behindProxy(300);
        const struck = proxy.nextCommit(fault);
        const first = ask('k', () => hasty.allocate(order('o1')), 'o1');
        await struck;
        expect((await first).answer).toMatch(/^outcome-unknown/);
        if (fault === 'cut after') await other.releaseLine(order('o1'));
        const again = await ask('k', () => other.allocate(order('o1')), 'o1');
        expect(JSON.parse(again.answer)).toMatchObject({ status: 'promised', repeated: false });
        expect(again.repeatOf).toBe(fault === 'cut after' ? (await first).id : undefined);
        proxy.goOn();
        await hasty.unitOfWork.idle();
        expect(await history()).toEqual(left);
      },
    );
  });

  it('whose session is ended before the COMMIT takes effect once', async () => {
    const proxy = await PostgresProxy.before(db.url);
    closing.push(() => proxy.close());
    const behind = replicaOver(await db.connect(proxy.url));
    const held = proxy.holdAt('COMMIT\0');
    const first = ask('k', () => behind.allocate(order('o1')), 'o1');
    await held;
    await until(async () => {
      const { rowCount } = await client.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return rowCount! > 0;
    });
    proxy.goOn();
    expect(JSON.parse((await first).answer)).toMatchObject({ status: 'promised', repeated: false });
    expect(await history()).toEqual(['allocated o1']);
    expect(await stored('k')).toHaveLength(1);
  });
});
