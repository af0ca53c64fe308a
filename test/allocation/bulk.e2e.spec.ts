import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import type { LineResult } from '../../src/allocation/http/allocate-lines';
import { Traffic } from '../../src/platform/http/traffic';
import { listen, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { RawConnection } from '../support/raw-connection';
import { until } from '../support/replica';

const path = '/v1/allocations/bulk';
const ndjson = { 'content-type': 'application/x-ndjson' };
const line = (orderId: string, sku = 'TABLE', qty = 1): string => `${JSON.stringify({ orderId, sku, qty })}\n`;

/** A request to the bulk operation whose lines are written, and whose results are read, while both go on. */
class Bulk {
  readonly results: LineResult[] = [];
  /** Settles when the answer has ended, as it should or broken off. */
  readonly ended: Promise<'complete' | 'broken off'>;
  answer: IncomingMessage | undefined;
  readonly #post: ClientRequest;
  #rest = '';

  constructor(port: number, headers: Record<string, string> = {}, reading = true) {
    this.#post = request({ port, path, method: 'POST', agent: false, headers: { ...ndjson, ...headers } });
    this.ended = new Promise((resolve) => {
      this.#post.on('error', () => resolve('broken off'));
      this.#post.once('response', (answer) => {
        this.answer = answer;
        answer.on('error', () => undefined);
        answer.once('end', () => resolve('complete'));
        answer.once('close', () => resolve('broken off'));
        if (reading) this.read();
      });
    });
    this.#post.flushHeaders();
  }

  write(text: string | Buffer): this {
    this.#post.write(text);
    return this;
  }

  end(text = ''): this {
    this.#post.end(text);
    return this;
  }

  destroy(): void {
    this.#post.destroy();
  }

  read(): void {
    this.answer!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop()!;
      for (const one of lines) this.results.push(JSON.parse(one) as LineResult);
    });
  }

  async have(count: number): Promise<void> {
    await until(() => this.results.length >= count);
  }
}

/** The same, as the second answer tells it. */
const again = (answer: object): object => ({
  ...(JSON.parse(JSON.stringify(answer).replaceAll('"repeated":false', '"repeated":true')) as object),
  ...('instance' in answer && { instance: expect.any(String) as string }),
});

const summary = ({ results }: Bulk) =>
  results.map(({ line, status, problem }) => [line, status, ...(problem ? [problem.code] : [])]);

describe('POST /v1/allocations/bulk', () => {
  let db: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;
  let port: number;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    app = await startService(db.url);
    port = await listen(app);
    for (const [ref, sku, qty] of [
      ['b1', 'TABLE', 1_000_000],
      ['b2', 'CHAIR', 10],
    ])
      await app.inject({ method: 'POST', url: '/v1/batches', payload: { ref, sku, qty } });
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const promisedTo = async (prefix: string): Promise<string[]> => {
    const { rows } = await client.query<{ order_id: string }>(
      `SELECT order_id FROM allocation.line WHERE status = 'promised' AND starts_with(order_id, $1) ORDER BY order_id`,
      [prefix],
    );
    return rows.map((row) => row.order_id);
  };

  it('answers each line in order as the single operation would', async () => {
    const lines = [
      line('m1'),
      line('m1'),
      line('m1', 'TABLE', 2),
      line('m2', 'CHAIR', 8),
      line('m3', 'CHAIR', 8),
      `${JSON.stringify({ orderId: 'm4', sku: 'CHAIR', qty: 8, whenOutOfStock: 'backorder' })}\n`,
      line('m5', 'TABEL'),
      '\n',
      'nonsense\n',
      line('m6', 'TABLE', 0),
      line('m7').trimEnd(),
    ];
    const bulk = new Bulk(port, { 'x-request-id': 'bulk-1' }).end(lines.join(''));
    expect(await bulk.ended).toBe('complete');
    expect(bulk.answer).toMatchObject({ statusCode: 200, headers: { ...ndjson, 'x-request-id': 'bulk-1' } });
    expect(summary(bulk)).toEqual([
      [1, 201],
      [2, 200],
      [3, 409, 'line-already-allocated'],
      [4, 201],
      [5, 409, 'out-of-stock'],
      [6, 202],
      [7, 404, 'unknown-sku'],
      [9, 400, 'malformed-json'],
      [10, 400, 'invalid-request'],
      [11, 201],
    ]);
    for (const [place, text] of lines.slice(0, 7).entries()) {
      const { status, allocation, problem } = bulk.results[place]!;
      const single = await app.inject({ method: 'POST', url: '/v1/allocations', payload: JSON.parse(text) as object });
      expect(single.statusCode).toBe(status === 201 ? 200 : status);
      expect(single.json()).toEqual(again({ ...(problem ?? allocation) }));
    }
    const { rows } = await client.query<object>(
      `SELECT DISTINCT actor, causation_id FROM platform.event WHERE data->>'orderId' IN ('m1', 'm7')`,
    );
    expect(rows).toEqual([{ actor: 'anonymous', causation_id: 'bulk-1' }]);
  });

  it('answers a line before the next one has come', async () => {
    const bulk = new Bulk(port);
    for (let count = 1; count <= 3; count += 1) {
      bulk.write(line(`i${count}`));
      await bulk.have(count);
    }
    expect(summary(bulk)).toEqual([
      [1, 201],
      [2, 201],
      [3, 201],
    ]);
    expect(await bulk.end().ended).toBe('complete');
  });

  it('promises thousands of lines of many SKUs, each once', async () => {
    const count = 3_000;
    const skus = Array.from({ length: 50 }, (_, place) => `SKU-${place}`);
    await Promise.all(
      skus.map((sku) =>
        app.inject({ method: 'POST', url: '/v1/batches', payload: { ref: `of-${sku}`, sku, qty: 45 } }),
      ),
    );
    const text = Array.from({ length: count }, (_, place) => line(`t${place}`, skus[place % 50])).join('');
    const bulk = new Bulk(port).end(text);
    expect(await bulk.ended).toBe('complete');
    expect(bulk.results.map((result) => result.line)).toEqual(Array.from({ length: count }, (_, place) => place + 1));
    const promised = bulk.results.filter(({ status }) => status === 201);
    expect(promised).toHaveLength(50 * 45);
    expect(bulk.results.filter(({ problem }) => problem?.code === 'out-of-stock')).toHaveLength(50 * 15);
    expect(await promisedTo('t')).toEqual(promised.map(({ allocation }) => allocation!.orderId).sort());
  }, 30_000);

  it('reads no further than its answer is read, and loses none of 20,000 lines', async () => {
    const count = 20_000;
    // An answer tells the name of what it does not know: it is larger than the line.
    const text = `{"${'x'.repeat(1_000)}":0}\n`;
    const connected = once(app.getHttpServer() as Server, 'connection') as Promise<[Socket]>;
    const bulk = new Bulk(port, {}, false).end(text.repeat(count));
    const [socket] = await connected;
    await until(() => bulk.answer !== undefined);
    let read = 0;
    await until(() => {
      const before = read;
      read = socket.bytesRead;
      return socket.writableLength > 0 && read === before && read > 0;
    });
    expect(read).toBeLessThan((text.length * count) / 2);
    bulk.read();
    expect(await bulk.ended).toBe('complete');
    expect(bulk.results).toHaveLength(count);
    expect(bulk.results.every(({ line, status }, place) => line === place + 1 && status === 400)).toBe(true);
  }, 30_000);

  it('keeps what it acknowledged when the connection is cut, reads no further, and may be sent the same again', async () => {
    const lines = Array.from({ length: 500 }, (_, place) => line(`c${place}`));
    const bulk = new Bulk(port).write(lines.join('')).write('{"orderId":"c-half","sku":"TABLE","qty":1');
    await bulk.have(100);
    bulk.destroy();
    expect(await bulk.ended).toBe('broken off');
    await until(() => app.get(Traffic).requests.count === 0);
    const kept = await promisedTo('c');
    expect(kept).toEqual(expect.arrayContaining(bulk.results.map(({ allocation }) => allocation!.orderId)));
    expect(kept).not.toContain('c-half');
    const again = new Bulk(port).end(lines.join(''));
    expect(await again.ended).toBe('complete');
    expect(again.results.filter(({ status }) => status === 200)).toHaveLength(kept.length);
    expect(await promisedTo('c')).toHaveLength(lines.length);
  });

  it('goes on for longer than other requests may take, as long as something comes', async () => {
    const server = app.getHttpServer() as Server;
    const timeOut = (socket: Socket) =>
      server.emit('clientError', Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
    let connected = once(server, 'connection') as Promise<[Socket]>;
    const bulk = new Bulk(port).write(line('l1'));
    await bulk.have(1);
    timeOut((await connected)[0]);
    await bulk.write(line('l2')).have(2);
    expect(await bulk.end().ended).toBe('complete');

    connected = once(server, 'connection') as Promise<[Socket]>;
    const slow = new RawConnection(port).request('POST', '/v1/allocations', '{', { 'content-length': '100' });
    timeOut((await connected)[0]);
    expect((await slow.answer()).status).toBe(408);
  });

  it('answers nothing to no lines', async () => {
    const bulk = new Bulk(port).end('\n\n');
    expect(await bulk.ended).toBe('complete');
    expect(bulk.results).toEqual([]);
    const empty = await app.inject({ method: 'POST', url: path, headers: ndjson });
    expect([empty.statusCode, empty.body]).toEqual([200, '']);
  });

  it.each<[string, string | Buffer, Record<string, string>]>([
    ['JSON', line('r1'), { 'content-type': 'application/json' }],
    ['no type', line('r1'), { 'content-type': '' }],
    ['a compressed body', gzipSync(line('r1')), { 'content-encoding': 'gzip' }],
  ])('refuses %s as a whole, and the connection goes on', async (_, body, headers) => {
    const connection = new RawConnection(port).request('POST', path, body, { ...ndjson, ...headers });
    const answer = await connection.answer();
    expect(JSON.parse(answer.body)).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    connection.request('GET', '/v1/batches/b1');
    expect((await connection.answer()).status).toBe(200);
    connection.destroy();
    expect(await promisedTo('r')).toEqual([]);
  });

  it('takes NDJSON alone, and no other operation does', async () => {
    for (const [url, headers] of [
      [path, { 'content-type': 'text/csv' }],
      ['/v1/allocations', ndjson],
      ['/v1/stock/imports', ndjson],
    ] as const) {
      const answer = await app.inject({ method: 'POST', url, payload: line('n1'), headers });
      expect(answer.json()).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    }
  });

  it('waits for room in a queue that is full, instead of refusing lines', async () => {
    const small = await startService(db.url, { QUEUE_MAX: '2', GROUP_MAX: '1' });
    try {
      const smallPort = await listen(small);
      const bulks = Array.from({ length: 6 }, (_, of) =>
        new Bulk(smallPort).end(Array.from({ length: 10 }, (__, place) => line(`q${of}-${place}`)).join('')),
      );
      expect(await Promise.all(bulks.map(({ ended }) => ended))).toEqual(bulks.map(() => 'complete'));
      expect(bulks.flatMap(({ results }) => results.map(({ status }) => status))).toEqual(new Array(60).fill(201));
    } finally {
      await small.close();
    }
  }, 30_000);

  it('answers what it has read when the service stops, and says from where on it has not', async () => {
    const stopping = await startService(db.url);
    const stoppingPort = await listen(stopping);
    const [idle, busy] = [new Bulk(stoppingPort).write(line('s1')), new Bulk(stoppingPort)];
    try {
      await idle.have(1);
      const more = setInterval(() => busy.write(line(`s-${busy.results.length}`)), 1);
      await busy.have(3);
      stopping.get(Traffic).leave();
      await until(() => busy.results.some(({ status }) => status === 503));
      clearInterval(more);
      busy.end();
      expect(await Promise.all([idle.ended, busy.ended])).toEqual(['complete', 'complete']);
      expect(summary(idle)).toEqual([
        [1, 201],
        [2, 503, 'stopping'],
      ]);
      const answered = busy.results.slice(0, -1);
      expect(answered.every(({ status }) => status < 300)).toBe(true);
      expect(busy.results.at(-1)).toMatchObject({
        line: answered.length + 1,
        status: 503,
        problem: { code: 'stopping' },
      });
      expect(await promisedTo('s-')).toHaveLength(new Set(answered.map(({ allocation }) => allocation!.orderId)).size);
    } finally {
      idle.destroy();
      busy.destroy();
      await stopping.close();
    }
  });
});
