import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

const everything = 'stock:read,stock:write,allocate,events:read,ops';
const secretOf = (name: string): string => `${name}-and-what-nobody-else-may-ever-know`;
const credentials = ['shop', 'depot'].map((name) => `${name} ${everything} ${secretOf(name)}`).join(';');

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface Sent {
  readonly key?: string;
  readonly as?: string;
  readonly by?: NestFastifyApplication;
  readonly headers?: Record<string, string>;
}

describe('Idempotency-Key', () => {
  let db: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;
  let other: NestFastifyApplication;
  let tests = 0;
  let sku: string;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    const env = { API_KEYS: credentials, WEBHOOK_ALLOW: '127.0.0.1' };
    app = await startService(db.url, env);
    other = await startService(db.url, env);
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    await db.drop();
  });
  beforeEach(async () => {
    tests += 1;
    sku = `SKU-${tests}`;
    await send('POST', '/v1/batches', { ref: `b-${tests}`, sku, qty: 10 });
  });

  const send = async (
    method: Method,
    url: string,
    payload?: object,
    { key, as = 'shop', by = app, headers = {} }: Sent = {},
  ) => {
    const answer = await by.inject({
      method,
      url,
      ...(payload && { payload }),
      headers: {
        authorization: `Bearer ${secretOf(as)}`,
        ...(key !== undefined && { 'idempotency-key': key }),
        ...headers,
      },
    });
    const { location, 'content-type': type, 'idempotency-replayed': replayed } = answer.headers;
    const { statusCode: status, body } = answer;
    return { told: { status, body, location, type }, replayed, code: /"code":"([^"]*)"/.exec(body)?.[1] };
  };
  const order = (name: string, qty = 1, of = sku) => ({ orderId: `${name}-${tests}`, sku: of, qty });
  const eventsStored = async (): Promise<number> =>
    (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM platform.event')).rows[0]!.n;

  type Case = readonly [status: number, method: Method, path: string, payload?: object];
  const o = (name: string, qty: number, more: object = {}) => ({ orderId: name, sku: 'SKU', qty, ...more });
  const lines = (...qtys: number[]) => qtys.map((qty, i) => ({ sku: 'SKU', lineId: String(i + 1), qty }));
  // Each finds what those before it left behind.
  const cases: Case[] = [
    [201, 'POST', '/v1/batches', { ref: 'case-b1', sku: 'SKU', qty: 20, eta: null }],
    [200, 'POST', '/v1/batches', { ref: 'case-b1', sku: 'SKU', qty: 20, eta: null }],
    [409, 'POST', '/v1/batches', { ref: 'case-b1', sku: 'SKU', qty: 21 }],
    [201, 'POST', '/v1/allocations', o('o1', 5)],
    [200, 'POST', '/v1/allocations', o('o1', 5)],
    [409, 'POST', '/v1/allocations', o('o1', 6)],
    [409, 'POST', '/v1/allocations', o('o2', 50)],
    [202, 'POST', '/v1/allocations', o('o3', 50, { whenOutOfStock: 'backorder', priority: 3 })],
    [404, 'POST', '/v1/allocations', { ...o('o4', 1), sku: 'NOBODY-KNOWS' }],
    [200, 'DELETE', '/v1/orders/o3'],
    [201, 'POST', '/v1/orders', { orderId: 'o5', lines: lines(2, 3) }],
    [207, 'POST', '/v1/orders', { orderId: 'o6', lines: lines(1, 90), mode: 'partial' }],
    [409, 'POST', '/v1/orders', { orderId: 'o7', lines: lines(1, 90) }],
    [200, 'PUT', '/v1/orders/o1/lines/SKU/1', { qty: 2 }],
    [409, 'PUT', '/v1/orders/o1/lines/SKU/1', { qty: 200 }],
    [404, 'PUT', '/v1/orders/o1/lines/SKU/9', { qty: 2 }],
    [200, 'PATCH', '/v1/batches/case-b1', { qty: 6 }],
    [404, 'PATCH', '/v1/batches/nobody-knows', { qty: 6 }],
    [200, 'DELETE', '/v1/orders/o1/lines/SKU'],
    [200, 'DELETE', '/v1/orders/o5/lines/SKU/2'],
    [200, 'DELETE', '/v1/orders/o5'],
    [200, 'PUT', '/v1/stock/SKU/threshold', { reorderPoint: 3 }],
    [200, 'DELETE', '/v1/stock/SKU/threshold'],
    [404, 'DELETE', '/v1/stock/SKU/threshold'],
    [200, 'DELETE', '/v1/batches/case-b1'],
    [200, 'DELETE', '/v1/batches/case-b1'],
    [201, 'POST', '/add_batch', { ref: 'case-b2', sku: 'SKU', qty: 20, eta: null }],
    [202, 'POST', '/allocate', { orderid: 'o8', sku: 'SKU', qty: 1 }],
    [400, 'POST', '/allocate', { orderid: 'o8', sku: 'NOBODY-KNOWS', qty: 1 }],
  ];

  it('makes every operation take effect once, and answer the same to the byte', async () => {
    const replies = [];
    for (const [place, [status, method, path, payload]] of cases.entries()) {
      const first = await send(method, path, payload, { key: `case ${place}` });
      expect({ case: cases[place], status: first.told.status }).toEqual({ case: cases[place], status });
      replies.push(first);
    }
    const before = await eventsStored();
    for (const [place, [, method, path, payload]] of cases.entries()) {
      const first = replies[place]!;
      const again = await send(method, path, payload, { key: `case ${place}`, by: other });
      expect({ case: cases[place], ...again.told }).toEqual({ case: cases[place], ...first.told });
      expect([first.replayed, again.replayed]).toEqual([undefined, 'true']);
    }
    expect(await eventsStored()).toBe(before);
  });

  it('registers one webhook, and changes it once', async () => {
    const url = 'http://127.0.0.1:9/';
    const register = () => send('POST', '/v1/webhooks', { url, eventTypes: 'all' }, { key: 'w' });
    const [first, again] = [await register(), await register()];
    expect([first.told.status, first.replayed, again.replayed]).toEqual([201, undefined, 'true']);
    expect(again.told).toEqual(first.told);
    const { rows } = await client.query<{ id: string }>('SELECT id FROM notifications.webhook');
    expect(rows).toHaveLength(1);

    const path = first.told.location as string;
    const rotate = () => send('POST', `${path}/rotate-secret`, undefined, { key: 'r' });
    expect((await rotate()).told).toEqual((await rotate()).told);
    for (const [method, payload, status] of [
      ['PATCH', { enabled: false }, 200],
      ['DELETE', undefined, 204],
      ['DELETE', undefined, 404],
    ] as const) {
      const change = () => send(method, path, payload, { key: `${method} ${status}` });
      const changed = await change();
      expect(changed.told.status).toBe(status);
      expect(await change()).toMatchObject({ told: changed.told, replayed: 'true' });
    }
  });

  it('keeps no secret of a webhook, and tells it again as long as it signs', async () => {
    const request = { url: 'http://127.0.0.1:9/', eventTypes: 'all' };
    const register = () => send('POST', '/v1/webhooks', request, { key: `secret ${tests}` });
    const first = await register();
    const path = first.told.location as string;
    const rotate = (key: string) => send('POST', `${path}/rotate-secret`, undefined, { key });
    const secretIn = ({ told }: { told: { body: string } }) => (JSON.parse(told.body) as { secret: string }).secret;
    const second = await rotate('second');
    expect((await register()).told).toEqual(first.told);
    const third = await rotate('third');

    const { rows } = await client.query<{ outcome: string }>('SELECT outcome::text FROM platform.idempotency_key');
    for (const answer of [first, second, third])
      expect(rows.filter(({ outcome }) => outcome.includes(secretIn(answer)))).toEqual([]);
    const again = await register();
    expect([again.told.status, again.replayed, secretIn(again)]).toEqual([201, 'true', null]);
    expect((await rotate('second')).told).toEqual(second.told);

    await client.query(`UPDATE notifications.webhook SET old_secret_until = now()`);
    expect(secretIn(await rotate('second'))).toBeNull();
    expect((await rotate('third')).told).toEqual(third.told);
    await send('DELETE', path);
    expect(JSON.parse((await rotate('third')).told.body)).toEqual({ ...JSON.parse(third.told.body), secret: null });
  });

  it('takes effect once when two replicas are asked at the same time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => [app, other, app, other].map((by) => ({ by, name: `k${i}` })))
        .flat()
        .map(async ({ by, name }) => ({
          name,
          ...(await send('POST', '/v1/allocations', order(name), { key: `${name} ${tests}`, by })),
        })),
    );
    const told = answers.filter(({ code }) => code !== 'idempotency-in-progress');
    expect(told.filter(({ replayed }) => replayed === undefined)).toHaveLength(10);
    for (const { name, told: answer } of told)
      expect(answer).toEqual(told.find((one) => one.name === name && one.replayed === undefined)!.told);
    for (const { told: answer } of told) expect(answer.status).toBe(201);
  });

  it('is of a credential and of an operation: others use the same for something else', async () => {
    const allocate = (as: string) => send('POST', '/v1/allocations', order('o1'), { key: 'mine', as });
    const answers = [await allocate('shop'), await allocate('depot'), await allocate('shop'), await allocate('depot')];
    expect(answers.map(({ told, replayed }) => [told.status, replayed])).toEqual([
      [201, undefined],
      [200, undefined],
      [201, 'true'],
      [200, 'true'],
    ]);
    const released = await send('DELETE', `/v1/orders/o1-${tests}`, undefined, { key: 'mine' });
    expect([released.told.status, released.replayed]).toEqual([200, undefined]);
  });

  it('of another request is refused, be it another body or another resource', async () => {
    await send('POST', '/v1/allocations', order('o1'), { key: 'reused' });
    await send('DELETE', `/v1/orders/o1-${tests}`, undefined, { key: 'reused' });
    const body = await send('POST', '/v1/allocations', order('o1', 2), { key: 'reused' });
    const resource = await send('DELETE', `/v1/orders/o2-${tests}`, undefined, { key: 'reused' });
    for (const { told, code, replayed } of [body, resource])
      expect([told.status, code, replayed]).toEqual([422, 'idempotency-key-reused', undefined]);
  });

  it('is free for a request that is well-formed, if that before was not', async () => {
    const wrong = await send('POST', '/v1/allocations', { ...order('o1'), qty: 0 }, { key: 'spare' });
    const right = await send('POST', '/v1/allocations', order('o1'), { key: 'spare' });
    expect([wrong.told.status, right.told.status, right.replayed]).toEqual([400, 201, undefined]);
  });

  it('in progress elsewhere is told as such', async () => {
    const elsewhere = await db.client();
    await elsewhere.query('BEGIN');
    await elsewhere.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
      'idempotency:key:shop POST /v1/allocations\nheld',
    ]);
    const held = await send('POST', '/v1/allocations', order('o1'), { key: 'held' });
    expect([held.told.status, held.code]).toEqual([409, 'idempotency-in-progress']);
    await elsewhere.query('ROLLBACK');
    expect((await send('POST', '/v1/allocations', order('o1'), { key: 'held' })).told.status).toBe(201);
  });

  it.each(['', 'x'.repeat(256), 'schlüssel', 'a\tb'])('is none if it is %j', async (key) => {
    const refused = await send('POST', '/v1/allocations', order('o1'), { key });
    expect([refused.told.status, refused.code]).toEqual([400, 'invalid-idempotency-key']);
    expect((await send('GET', '/v1/batches', undefined, { key })).told.status).toBe(200);
    expect((await send('POST', '/v1/nothing', {}, { key })).code).toBe('unknown-route');
    expect((await send('POST', '/v1/allocations', order('o1'), { key, headers: { authorization: '' } })).code).toBe(
      'unauthenticated',
    );
  });

  it('may be any printable text of 255 characters', async () => {
    const key = '"~ 5/%\'' + 'x'.repeat(248);
    const allocate = () => send('POST', '/v1/allocations', order('o1'), { key });
    expect([(await allocate()).replayed, (await allocate()).replayed]).toEqual([undefined, 'true']);
  });

  it('is refused where bodies stream, and means nothing where nothing changes', async () => {
    const authorization = `Bearer ${secretOf('shop')}`;
    for (const [url, type, payload] of [
      ['/v1/stock/imports', 'text/csv', 'ref,sku,qty,eta\n'],
      ['/v1/allocations/bulk', 'application/x-ndjson', `${JSON.stringify(order('o1'))}\n`],
    ] as const) {
      const headers = { authorization, 'content-type': type, 'idempotency-key': 'k' };
      const refused = await app.inject({ method: 'POST', url, payload, headers });
      expect([refused.statusCode, refused.json().code]).toEqual([400, 'idempotency-key-not-supported']);
    }
    expect((await send('GET', `/v1/orders/o1-${tests}`)).told.status).toBe(404);
    const explained = [];
    for (const qty of [1, 2])
      explained.push(await send('POST', '/v1/allocations/explain', order('o1', qty), { key: 'k' }));
    expect(explained.map(({ told, replayed }) => [told.status, replayed])).toEqual([
      [200, undefined],
      [200, undefined],
    ]);
  });

  it('is documented by every operation that takes it, and by those that refuse it', async () => {
    type Operation = { operationId: string; parameters?: { name: string }[]; responses: Record<string, object> };
    const { paths } = (await app.inject('/docs/openapi.json')).json<{
      paths: Record<string, Record<string, Operation>>;
    }>();
    const kinds: Record<string, string[]> = { takes: [], refuses: [], ignores: [] };
    for (const methods of Object.values(paths))
      for (const [method, { operationId, parameters = [], responses }] of Object.entries(methods)) {
        const takes = parameters.some(({ name }) => name === 'Idempotency-Key');
        const codes = JSON.stringify(responses);
        expect({ operationId, told: codes.includes('idempotency-key-reused') }).toEqual({ operationId, told: takes });
        expect({ operationId, told: codes.includes('idempotency-replayed') }).toEqual({ operationId, told: takes });
        const refuses = codes.includes('idempotency-key-not-supported');
        if (method !== 'get') kinds[takes ? 'takes' : refuses ? 'refuses' : 'ignores']!.push(operationId);
        else expect({ operationId, takes, refuses }).toEqual({ operationId, takes: false, refuses: false });
      }
    expect(kinds.takes).toEqual(expect.arrayContaining(['allocate', 'createBatch', 'amendLine', 'registerWebhook']));
    expect(kinds.refuses!.sort()).toEqual(['allocateBulk', 'importStock']);
    // The book's clients know none, and what only asks has no effect.
    expect(kinds.ignores!.sort()).toEqual(['bookAddBatch', 'bookAllocate', 'explainAllocation', 'plan']);
  });
});
