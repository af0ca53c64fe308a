import { gzipSync } from 'node:zlib';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { listen, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { RawConnection } from '../support/raw-connection';

const valid = { orderId: 'order-1', sku: 'TABLE', qty: 1 };
const json = JSON.stringify(valid);
const sql = "'; DROP TABLE platform.event; --";
const leaks = /\bat .+:\d+:\d+|node_modules|SELECT |INSERT |QueryFailedError|relation "/;

describe('Bad input', () => {
  let database: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;
  let port: number;

  beforeAll(async () => {
    database = await freshDatabase();
    client = await database.client();
    app = await startService(database.url);
    port = await listen(app);
    await post('/v1/batches', { ref: 'batch-1', sku: 'TABLE', qty: 100 });
    await post('/v1/allocations', { ...valid, orderId: 'order-0' });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
  const events = async () => (await client.query<{ n: string }>('SELECT count(*) AS n FROM platform.event')).rows[0]?.n;

  /** Sends `bad` and then something good on the same connection: the former is refused, the latter answered. */
  async function refuses(
    bad: (connection: RawConnection) => unknown,
    statuses: readonly number[],
    code?: string,
  ): Promise<void> {
    const before = await events();
    const connection = new RawConnection(port);
    bad(connection);
    const answer = await connection.answer();
    expect(statuses).toContain(answer.status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.body).not.toMatch(leaks);
    if (code !== undefined) expect(JSON.parse(answer.body)).toMatchObject({ code, status: answer.status });
    connection.request('GET', '/v1/batches/batch-1');
    expect((await connection.answer()).status).toBe(200);
    connection.destroy();
    expect(await events()).toBe(before);
  }

  const allocation =
    (body: string | Buffer, headers: Record<string, string> = {}) =>
    (connection: RawConnection) =>
      connection.request('POST', '/v1/allocations', body, headers);

  describe('in a body', () => {
    it.each<[string, string | Buffer]>([
      ['that is empty', ''],
      ['that is white space', ' \n\t'],
      ['that is truncated', json.slice(0, -1)],
      ['with something behind it', `${json}}`],
      ['that is no JSON', 'orderId=order-1&sku=TABLE&qty=1'],
      ['with a number that is none', '{"qty":NaN}'],
      ['that is only a byte order mark', Buffer.from([0xef, 0xbb, 0xbf])],
      ['in UTF-16, little end first', Buffer.from(`\ufeff${json}`, 'utf16le')],
      ['in UTF-16, big end first', Buffer.from(`\ufeff${json}`, 'utf16le').swap16()],
      ['in UTF-16 without a mark', Buffer.from(json, 'utf16le')],
      ['in Latin-1', Buffer.from('{"orderId":"Jürgen"}', 'latin1')],
      ['with an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
      ['with half a character', Buffer.from([0x22, 0xe2, 0x82, 0x22])],
      ['that is compressed without saying so', gzipSync(json)],
      ['with the key __proto__', '{"__proto__":{"orderId":"x"},"sku":"TABLE","qty":1}'],
      ['with the key __proto__ in disguise', '{"\\u005f_proto__":{"orderId":"x"}}'],
      ['with the key constructor.prototype', '{"constructor":{"prototype":{"admin":true}}}'],
      ['with arrays nested 100,000 deep and not closed', '['.repeat(100_000)],
    ])('%s', (_, body) => refuses(allocation(body), [400], 'malformed-json'));

    it.each<[string, string]>([
      ['that is null', 'null'],
      ['that is an array', '[]'],
      ['that is an array of the right things', `[${json}]`],
      ['that is a number', '5'],
      ['that is a text', '"order-1"'],
      ['that is true', 'true'],
      ['with nothing in it', '{}'],
      ['with an unknown property', JSON.stringify({ ...valid, admin: true })],
      ['with the key constructor', '{"constructor":5,"orderId":"order-1","sku":"TABLE","qty":1}'],
      ['with arrays nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
      ['with objects nested 100,000 deep', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)],
      ['with 50,000 unknown properties', `{${Array.from({ length: 50_000 }, (_, i) => `"key${i}":1`).join()}}`],
    ])('%s', (_, body) => refuses(allocation(body), [400], 'invalid-request'));

    it.each<[string, string | Buffer, Record<string, string>]>([
      ['of another type', json, { 'content-type': 'text/plain' }],
      ['of a form', 'orderId=order-1', { 'content-type': 'application/x-www-form-urlencoded' }],
      ['of a file', json, { 'content-type': 'multipart/form-data; boundary=x' }],
      ['of a type that is none', json, { 'content-type': 'nonsense' }],
      ['of no type', json, { 'content-type': '' }],
    ])('%s', (_, body, headers) => refuses(allocation(body, headers), [415], 'unsupported-media-type'));

    it.each(['gzip', 'br', 'deflate', 'zstd', 'rot13'])('that says it is compressed by %s', async (encoding) => {
      const body = encoding === 'gzip' ? gzipSync(Buffer.alloc(50_000_000)) : json;
      const connection = new RawConnection(port).request('POST', '/v1/allocations', body, {
        'content-encoding': encoding,
      });
      expect((await connection.answer()).status).toBe(415);
      connection.destroy();
    });

    it('of one byte more than is read, told or not', async () => {
      const before = await events();
      const body = JSON.stringify({ ...valid, sku: 'x'.repeat(1024 * 1024) });
      const told = new RawConnection(port).request('POST', '/v1/allocations', body);
      expect((await told.answer()).status).toBe(413);
      await told.end();
      const untold = new RawConnection(port).write(
        'POST /v1/allocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
        `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      );
      expect((await untold.answer()).status).toBe(413);
      await untold.end();
      expect(await events()).toBe(before);
    });

    it('that is shorter than it says, when the client gives up', async () => {
      const before = await events();
      const connection = allocation(json, { 'content-length': '500' })(new RawConnection(port));
      connection.destroy();
      expect((await app.inject('/v1/batches/batch-1')).statusCode).toBe(200);
      expect(await events()).toBe(before);
    });

    it('that is longer than it says', async () => {
      const before = await events();
      const connection = allocation(json, { 'content-length': '10' })(new RawConnection(port));
      expect((await connection.answer()).status).toBe(400);
      await connection.end();
      expect(await events()).toBe(before);
    });

    it('with two lengths', async () => {
      const connection = new RawConnection(port).write(
        `POST /v1/allocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\ncontent-length: 500\r\n\r\n${json}`,
      );
      expect((await connection.answer()).status).toBe(400);
      await connection.end();
    });

    it('with a byte order mark is no fault', async () => {
      const connection = new RawConnection(port).request('POST', '/v1/allocations', `\ufeff${json}`);
      expect((await connection.answer()).status).toBe(201);
      connection.destroy();
    });

    it('never reaches a prototype', async () => {
      for (const body of [
        '{"__proto__":{"polluted":1}}',
        '{"constructor":{"prototype":{"polluted":1}}}',
        '{"a":{"__proto__":{"polluted":1}}}',
      ])
        for (const url of ['/v1/allocations', '/v1/batches', '/add_batch', '/allocate'])
          await app.inject({ method: 'POST', url, payload: body, headers: { 'content-type': 'application/json' } });
      expect({}).not.toHaveProperty('polluted');
    });
  });

  describe('in a quantity:', () => {
    it.each([
      '0',
      '-1',
      '1.5',
      '"5"',
      'true',
      'null',
      '2147483648',
      '9007199254740993',
      '1e400',
      '-1e400',
      '[1]',
      '{}',
      '"1e3"',
    ])('%s', async (qty) => {
      const line = `"sku":"TABLE","qty":${qty}`;
      await refuses(allocation(`{"orderId":"order-1",${line}}`), [400], 'invalid-request');
      await refuses(
        (c) => c.request('POST', '/v1/orders', `{"orderId":"order-1","lines":[{${line}}]}`),
        [400],
        'invalid-request',
      );
      await refuses(
        (c) => c.request('PUT', '/v1/orders/order-0/lines/TABLE/1', `{"qty":${qty}}`),
        [400],
        'invalid-request',
      );
      if (qty === '0') return;
      await refuses((c) => c.request('POST', '/v1/batches', `{"ref":"batch-2",${line}}`), [400], 'invalid-request');
      if (qty !== 'null')
        await refuses((c) => c.request('PATCH', '/v1/batches/batch-1', `{"qty":${qty}}`), [400], 'invalid-request');
    });
  });

  describe('in an id:', () => {
    it.each([
      ['nothing', ''],
      ['spaces', '   '],
      ['a space inside', 'a b'],
      ['NUL', 'a\u0000b'],
      ['a control character', 'a\u0007b'],
      ['a line break', 'a\r\nx-header: 1'],
      ['text that runs backwards', 'a\u202eb'],
      ['half a surrogate pair', 'a\ud800'],
      ['65 characters', 'x'.repeat(65)],
      ['a path', '../../etc/passwd'],
      ['SQL', sql],
      ['a template', '${7*7}{{7*7}}'],
      ['a number', 5],
      ['an object', { $ne: null }],
    ])('%s', async (_, id) => {
      for (const body of [
        { ...valid, orderId: id },
        { ...valid, sku: id },
        { ...valid, lineId: id },
      ])
        await refuses(allocation(JSON.stringify(body)), [400], 'invalid-request');
      for (const body of [
        { ref: id, sku: 'TABLE', qty: 1 },
        { ref: 'batch-2', sku: id, qty: 1 },
      ])
        await refuses((c) => c.request('POST', '/v1/batches', JSON.stringify(body)), [400], 'invalid-request');
      if (typeof id !== 'string' || id === '' || id.includes('\ud800')) return;
      const encoded = encodeURIComponent(id);
      for (const path of [`/v1/batches/${encoded}`, `/v1/orders/${encoded}`, `/v1/batches?sku=${encoded}`])
        await refuses((c) => c.request('GET', path), [400], 'invalid-request');
      await refuses((c) => c.request('DELETE', `/v1/orders/order-0/lines/${encoded}/1`), [400], 'invalid-request');
    });

    it('bytes that are no UTF-8, and no URL', async () => {
      for (const id of ['%ff', '%c0%af', '%', '%zz', '%u0041'])
        await refuses((c) => c.request('GET', `/v1/batches/${id}`), [400]);
    });

    it('10 MB', async () => {
      const connection = new RawConnection(port).write(
        `GET /v1/batches/${'x'.repeat(10_000_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      );
      expect((await connection.answer()).status).toBe(431);
      await connection.end();
    });
  });

  it.each([
    '2026-02-30',
    '2026-13-01',
    '26-1-1',
    '2026-12-24T00:00:00Z',
    '1969-12-31',
    '10000-01-01',
    '',
    'tomorrow',
    sql,
    5,
    true,
  ])('in a date: %j', async (eta) => {
    await refuses(
      (c) => c.request('POST', '/v1/batches', JSON.stringify({ ref: 'batch-2', sku: 'TABLE', qty: 1, eta })),
      [400],
    );
    await refuses((c) => c.request('PATCH', '/v1/batches/batch-1', JSON.stringify({ eta })), [400]);
  });

  it.each<[string, string, string, object | undefined, number, string]>([
    ['a batch', 'GET', '/v1/batches/unknown', undefined, 404, 'unknown-batch'],
    ['a batch that changes', 'PATCH', '/v1/batches/unknown', { qty: 1 }, 404, 'unknown-batch'],
    ['a batch that is cancelled', 'DELETE', '/v1/batches/unknown', undefined, 404, 'unknown-batch'],
    ['an order', 'GET', '/v1/orders/unknown', undefined, 404, 'unknown-order'],
    ['a SKU', 'POST', '/v1/allocations', { ...valid, sku: 'UNKNOWN' }, 404, 'unknown-sku'],
    ['a line', 'PUT', '/v1/orders/order-0/lines/TABLE/9', { qty: 1 }, 404, 'unknown-line'],
    ['a change that changes nothing', 'PATCH', '/v1/batches/batch-1', {}, 400, 'invalid-request'],
    [
      'a batch with other content',
      'POST',
      '/v1/batches',
      { ref: 'batch-1', sku: 'TABLE', qty: 99 },
      409,
      'batch-exists',
    ],
    ['a route', 'GET', '/v2/batches', undefined, 404, 'unknown-route'],
    ['a method', 'PUT', '/v1/batches/batch-1', { qty: 1 }, 405, 'method-not-allowed'],
  ])('that names what is not there: %s', (_, method, path, body, status, code) =>
    refuses((c) => c.request(method, path, body && JSON.stringify(body)), [status], code),
  );

  it.each(['e30', 'bnVsbA', '!', sql, Buffer.from('{"sku":"a"}').toString('base64url'), 'x'.repeat(512)])(
    'in a cursor: %j',
    (cursor) =>
      refuses((c) => c.request('GET', `/v1/batches?cursor=${encodeURIComponent(cursor)}`), [400], 'invalid-cursor'),
  );

  it.each([
    'limit=0',
    'limit=201',
    'limit=many',
    'limit=1&limit=2',
    'sku=a&sku=b',
    'unknown=1',
    '__proto__=1',
    'constructor=1',
  ])('in a query: %s', (query) => refuses((c) => c.request('GET', `/v1/batches?${query}`), [400], 'invalid-request'));

  it('leaves the log of events as it was', async () => {
    const { rows } = await client.query<{ type: string }>('SELECT type FROM platform.event ORDER BY position');
    expect(rows.map(({ type }) => type)).toEqual([
      'allocation.batch-created.v1',
      'allocation.allocated.v1',
      'allocation.allocated.v1',
    ]);
  });
});
