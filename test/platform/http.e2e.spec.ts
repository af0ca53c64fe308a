import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Allocate, AllocateOrder, type Allocation, CreateBatch } from '../../src/allocation/contract/commands';
import { GetOrder } from '../../src/allocation/contract/queries';
import { DomainError } from '../../src/kernel/domain-error';
import { Overloaded } from '../../src/kernel/unit-of-work';
import { Traffic } from '../../src/platform/http/traffic';
import { StructuredLogger } from '../../src/platform/logging/structured-logger';
import { currentContext, type RequestContext } from '../../src/platform/request-context';
import { listen, startApp } from '../support/app';
import { Edge, Script } from '../support/edge';
import { RawConnection } from '../support/raw-connection';
import { until } from '../support/replica';

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const line = { orderId: 'o1', lineId: '1', sku: 'TABLE', qty: 5 };
const promised: Allocation = { ...line, status: 'promised', batchRef: 'b1', eta: null, priority: 0, repeated: false };

describe('HTTP', () => {
  let app: NestFastifyApplication;
  let script: Script;

  beforeAll(async () => {
    app = await startApp(Edge.with());
    script = app.get(Script);
  });
  afterAll(() => app.close());

  const post = (url: string, payload: object, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url, payload, headers });

  describe('gives every request', () => {
    it('an id of its own', async () => {
      const { headers } = await app.inject('/health/live');
      expect(headers['x-request-id']).toMatch(uuidV7);
      expect(headers['x-correlation-id']).toBe(headers['x-request-id']);
    });

    it('the ids that it brought along', async () => {
      const sent = { 'x-request-id': 'request-7', 'x-correlation-id': 'order:2026.117' };
      expect((await app.inject({ url: '/health/live', headers: sent })).headers).toMatchObject(sent);
    });

    it.each(['', 'with space', 'x'.repeat(65), '<script>', "'; DROP TABLE event; --"])(
      'another id than %j',
      async (id) => {
        const { headers } = await app.inject({
          url: '/health/live',
          headers: { 'x-request-id': id, 'x-correlation-id': id },
        });
        expect(headers['x-request-id']).toMatch(uuidV7);
        expect(headers['x-correlation-id']).toBe(headers['x-request-id']);
      },
    );

    it('a context in which its command is handled', async () => {
      script.on(Allocate, () => currentContext());
      const { body } = await post('/v1/allocations', line, { 'x-request-id': 'request-8', 'x-correlation-id': 'c-8' });
      expect(JSON.parse(body)).toEqual({ actor: 'anonymous', correlationId: 'c-8', causationId: 'request-8' });
      expect(currentContext().actor).toBe('system');
    });

    it('a context that tells when nobody waits for the answer any more', async () => {
      const listening = await startApp(Edge.with());
      try {
        let finish = (): void => undefined;
        const asked = new Promise<RequestContext>((resolve) => {
          listening.get(Script).on(Allocate, () => {
            resolve(currentContext());
            return new Promise<void>((done) => (finish = done));
          });
        });
        const connection = new RawConnection(await listen(listening));
        connection.request('POST', '/v1/allocations', JSON.stringify(line));
        const { isAbandoned } = await asked;
        expect(isAbandoned!()).toBe(false);
        connection.destroy();
        await until(() => isAbandoned!());
        finish();
      } finally {
        await listening.close();
      }
    });
  });

  describe('tells errors', () => {
    it('of the domain as problems', async () => {
      script.on(Allocate, () => {
        throw new DomainError('unknown-sku', 'not-found', 'Invalid sku TABLE', { sku: 'TABLE' });
      });
      const answer = await post('/v1/allocations', line, { 'x-request-id': 'r1' });
      expect(answer.statusCode).toBe(404);
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
      expect(answer.json()).toEqual({
        type: 'urn:batchwise:problem:unknown-sku',
        title: 'Unknown sku',
        status: 404,
        detail: 'Invalid sku TABLE',
        code: 'unknown-sku',
        sku: 'TABLE',
        instance: 'urn:batchwise:request:r1',
      });
    });

    it('of capacity with the time to wait', async () => {
      script.on(Allocate, () => {
        throw new Overloaded();
      });
      const answer = await post('/v1/allocations', line);
      expect([answer.statusCode, answer.headers['retry-after'], answer.json().code]).toEqual([503, '1', 'overloaded']);
    });

    it('that nobody expected without saying anything about them', async () => {
      script.on(Allocate, () => {
        throw new Error('SELECT secret FROM somewhere');
      });
      const answer = await post('/v1/allocations', line);
      expect([answer.statusCode, answer.json().code]).toEqual([500, 'internal']);
      expect(answer.body).not.toMatch(/secret|SELECT|at /);
    });

    it('of a request by its places', async () => {
      const { statusCode, body } = await post('/v1/orders', { orderId: 'o1', lines: [line, { sku: 'CHAIR', qty: 0 }] });
      expect(statusCode).toBe(400);
      expect(JSON.parse(body)).toMatchObject({
        code: 'invalid-request',
        errors: [
          { path: 'lines.0', message: expect.stringContaining('orderId') },
          { path: 'lines.1.qty', message: expect.stringContaining('>=1') },
        ],
      });
      expect((await app.inject('/v1/orders/-')).json().errors).toEqual([expect.objectContaining({ path: 'orderId' })]);
      expect((await app.inject('/v1/batches?limit=0')).json().errors).toEqual([
        expect.objectContaining({ path: 'limit' }),
      ]);
    });

    it('of the way with 404, 405, 415 and 413', async () => {
      const codes = [
        await app.inject('/v1/nothing'),
        await app.inject({ method: 'PUT', url: '/v1/allocations', payload: line }),
        await app.inject({
          method: 'POST',
          url: '/v1/allocations',
          payload: 'a=1',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
        await post('/v1/allocations', { sku: 'x'.repeat(1024 * 1024) }),
      ].map((answer) => [answer.statusCode, answer.json().code, answer.headers['content-type']]);
      const type = 'application/problem+json; charset=utf-8';
      expect(codes).toEqual([
        [404, 'unknown-route', type],
        [405, 'method-not-allowed', type],
        [415, 'unsupported-media-type', type],
        [413, 'body-too-large', type],
      ]);
      expect((await app.inject({ method: 'DELETE', url: '/v1/batches' })).headers.allow).toBe('POST, GET, HEAD');
    });
  });

  describe('POST /v1/allocations answers', () => {
    it.each<[number, Partial<Allocation>]>([
      [201, {}],
      [200, { repeated: true }],
      [202, { status: 'backordered', batchRef: null }],
      [202, { status: 'backordered', batchRef: null, repeated: true }],
    ])('%d when it finds %j', async (status, outcome) => {
      script.on(Allocate, () => ({ ...promised, ...outcome }));
      const answer = await post('/v1/allocations', line);
      expect([answer.statusCode, answer.json()]).toEqual([status, { ...promised, ...outcome }]);
    });

    it('409 with the line when it is out of stock', async () => {
      const refused = { ...promised, status: 'refused', batchRef: null };
      script.on(Allocate, () => refused);
      const answer = await post('/v1/allocations', line);
      expect([answer.statusCode, answer.json()]).toEqual([
        409,
        expect.objectContaining({ code: 'out-of-stock', line: refused }),
      ]);
    });

    it('and passes on what was asked for', async () => {
      script.on(Allocate, () => promised);
      await post('/v1/allocations', { orderId: 'o1', sku: 'TABLE', qty: 5, whenOutOfStock: 'backorder', priority: 7 });
      expect(script.received.at(-1)).toEqual(new Allocate(line, { whenOutOfStock: 'backorder', priority: 7 }));
    });
  });

  describe('POST /v1/orders answers', () => {
    const second = { ...promised, sku: 'CHAIR' };
    const order = {
      orderId: 'o1',
      lines: [
        { sku: 'TABLE', qty: 5 },
        { sku: 'CHAIR', qty: 5 },
      ],
    };

    it('201 when every line is promised or waits', async () => {
      script.on(AllocateOrder, () => ({
        orderId: 'o1',
        lines: [promised, { ...second, status: 'backordered' }],
        failed: [],
      }));
      const answer = await post('/v1/orders', order);
      expect([answer.statusCode, answer.headers.location]).toEqual([201, '/v1/orders/o1']);
      expect(answer.json().lines).toHaveLength(2);
    });

    it('200 when every line stood like this before', async () => {
      script.on(AllocateOrder, () => ({
        orderId: 'o1',
        lines: [promised, second].map((each) => ({ ...each, repeated: true })),
        failed: [],
      }));
      expect((await post('/v1/orders', order)).statusCode).toBe(200);
    });

    it('207 with the lines in the order of the request, and why some of them failed', async () => {
      script.on(AllocateOrder, () => ({
        orderId: 'o1',
        lines: [{ ...second, status: 'refused', batchRef: null }],
        failed: [{ ...line, code: 'unknown-sku', message: 'Invalid sku TABLE' }],
      }));
      const answer = await post('/v1/orders', { ...order, mode: 'partial' });
      expect(answer.statusCode).toBe(207);
      expect(answer.json().lines).toEqual([
        expect.objectContaining({
          sku: 'TABLE',
          status: 'failed',
          problem: expect.objectContaining({ code: 'unknown-sku' }),
        }),
        expect.objectContaining({
          sku: 'CHAIR',
          status: 'refused',
          problem: expect.objectContaining({ code: 'out-of-stock' }),
        }),
      ]);
    });

    it('400 when two lines cannot be told apart, and says how they could', async () => {
      const twice = await post('/v1/orders', { orderId: 'o1', lines: [order.lines[0], order.lines[0]] });
      expect([twice.statusCode, twice.json().detail]).toEqual([400, expect.stringContaining('lineId')]);
      const apart = { orderId: 'o1', lines: [order.lines[0], { ...order.lines[0], lineId: '2' }] };
      script.on(AllocateOrder, () => ({ orderId: 'o1', lines: [promised], failed: [] }));
      expect((await post('/v1/orders', apart)).statusCode).toBe(201);
    });

    it('400 when it has no line, or more than 1,000', async () => {
      const lines = Array.from({ length: 1001 }, (_, i) => ({ sku: 'TABLE', lineId: `${i}`, qty: 1 }));
      expect((await post('/v1/orders', { orderId: 'o1', lines: [] })).statusCode).toBe(400);
      expect((await post('/v1/orders', { orderId: 'o1', lines })).statusCode).toBe(400);
      expect((await post('/v1/orders', { orderId: 'o1', lines: lines.slice(1) })).statusCode).toBe(201);
    });
  });

  describe('The book contract', () => {
    it.each(['2026-12-24', '2026-12-24T10:00:00', '2026-12-24T23:59:59+02:00', '2026-12-24 10:00'])(
      'takes the date of %s',
      async (eta) => {
        script.on(CreateBatch, () => ({}));
        const answer = await post('/add_batch', { ref: 'b1', sku: 'TABLE', qty: 100, eta, extra: 'ignored' });
        expect([answer.statusCode, answer.body]).toEqual([201, 'OK']);
        expect(answer.headers['content-type']).toContain('text/plain');
        expect(script.received.at(-1)).toEqual(new CreateBatch('b1', 'TABLE', 100, '2026-12-24'));
      },
    );

    it.each([
      { ref: 'b1', sku: 'TABLE', qty: 100, eta: '2026-02-30' },
      { ref: 'b1', sku: 'TABLE', qty: -1, eta: null },
      { sku: 'TABLE' },
      [],
      5,
    ])('answers 400 with a message to %j', async (batch) => {
      const answer = await post('/add_batch', batch as object);
      expect([answer.statusCode, Object.keys(answer.json())]).toEqual([400, ['message']]);
      expect(answer.headers['content-type']).toContain('application/json');
    });

    it('tells every refusal the same way, also before the request is read', async () => {
      script.on(Allocate, () => {
        throw new DomainError('unknown-sku', 'not-found', 'Invalid sku TABLE');
      });
      const refused = await post('/allocate', { orderid: 'o1', sku: 'TABLE', qty: 5 });
      expect([refused.statusCode, refused.json()]).toEqual([400, { message: 'Invalid sku TABLE' }]);
      const headers = { 'content-type': 'application/json' };
      const broken = await app.inject({ method: 'POST', url: '/allocate', payload: '{', headers });
      expect([broken.statusCode, Object.keys(broken.json())]).toEqual([400, ['message']]);
      const foreign = await app.inject({
        method: 'POST',
        url: '/allocate',
        payload: 'a=1',
        headers: { 'content-type': 'text/csv' },
      });
      expect([foreign.statusCode, Object.keys(foreign.json())]).toEqual([400, ['message']]);
    });

    it('answers OK when the line is out of stock', async () => {
      script.on(Allocate, () => ({ ...promised, status: 'refused', batchRef: null }));
      const answer = await post('/allocate', { orderid: 'o1', sku: 'TABLE', qty: 5 });
      expect([answer.statusCode, answer.body]).toEqual([202, 'OK']);
    });

    it('lists the promised lines only', async () => {
      script.on(GetOrder, () => [promised, { ...promised, sku: 'CHAIR', status: 'backordered', batchRef: null }]);
      expect((await app.inject('/allocations/o1')).json()).toEqual([{ sku: 'TABLE', batchref: 'b1' }]);
      script.on(GetOrder, () => []);
      const none = await app.inject('/allocations/o1');
      expect([none.statusCode, none.body]).toEqual([404, 'not found']);
    });
  });

  it('counts commands by their outcome', async () => {
    const counted = async (command: string, outcome: string) => {
      const { body } = await app.inject('/metrics');
      return Number(
        new RegExp(`batchwise_commands_total{command="${command}",outcome="${outcome}"} (\\d+)`).exec(body)?.[1] ?? 0,
      );
    };
    const before = [
      await counted('Allocate', 'ok'),
      await counted('Allocate', 'overloaded'),
      await counted('Allocate', 'failed'),
    ];
    script.on(Allocate, () => promised);
    await post('/v1/allocations', line);
    script.on(Allocate, () => {
      throw new Overloaded();
    });
    await post('/v1/allocations', line);
    script.on(Allocate, () => {
      throw new Error('a defect');
    });
    await post('/v1/allocations', line);
    const after = [
      await counted('Allocate', 'ok'),
      await counted('Allocate', 'overloaded'),
      await counted('Allocate', 'failed'),
    ];
    expect(after).toEqual(before.map((n) => n + 1));
  });

  it('serves the explorer and its document', async () => {
    expect((await app.inject('/docs')).headers['content-type']).toContain('text/html');
    expect((await app.inject('/docs/openapi.json')).json()).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'Batchwise' },
    });
  });
});

describe('While the service leaves', () => {
  it('it is not ready, asks clients to go, and still answers', async () => {
    const app = await startApp(Edge.with());
    app.get(Traffic).leave();
    const ready = await app.inject('/health/ready');
    expect([ready.statusCode, ready.json().checks.intake]).toEqual([503, expect.objectContaining({ status: 'down' })]);
    const live = await app.inject('/health/live');
    expect([live.statusCode, live.headers.connection]).toEqual([200, 'close']);
    await app.close();
  });
});

describe('The log', () => {
  it('says at debug how a request ended, and carries its ids in every line that it causes', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = new StructuredLogger(
      { logLevel: 'debug', logFormat: 'json' },
      { write: (text) => void lines.push(JSON.parse(text) as never) },
    );
    const app = await startApp(Edge.with(), logger);
    app.get(Script).on(Allocate, () => {
      logger.log('in the middle', 'Test');
      throw new Error('a defect');
    });
    const headers = { 'x-request-id': 'r1', 'x-correlation-id': 'c1' };
    await app.inject({ method: 'POST', url: '/v1/allocations', payload: { ...line, sku: 'PRIVATE' }, headers });
    const mine = lines.filter(({ requestId }) => requestId === 'r1');
    expect(mine).toEqual([
      expect.objectContaining({ level: 30, msg: 'in the middle', context: 'Test', correlationId: 'c1' }),
      expect.objectContaining({
        level: 50,
        route: '/v1/allocations',
        status: 500,
        err: expect.objectContaining({ stack: expect.stringContaining('http.e2e') }),
      }),
      expect.objectContaining({ level: 20, msg: 'request completed', method: 'POST', status: 500 }),
    ]);
    expect(JSON.stringify(lines)).not.toContain('PRIVATE');
    await app.close();
  });
});

describe('Over a socket', () => {
  it('what is no HTTP is told so', async () => {
    const app = await startApp(Edge.with());
    const connection = new RawConnection(await listen(app)).write('NONSENSE\r\n\r\n');
    const answer = await connection.answer();
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'malformed-request']);
    await connection.end();
    await app.close();
  });
});
