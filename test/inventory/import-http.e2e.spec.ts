import { gzipSync } from 'node:zlib';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { ImportWorker } from '../../src/inventory/messaging/import-worker';
import { listen, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { RawConnection } from '../support/raw-connection';
import { until } from '../support/replica';

const path = '/v1/stock/imports';
const header = 'ref,sku,qty,eta\n';

describe('POST /v1/stock/imports', () => {
  let db: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;
  let port: number;

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    app = await startService(db.url);
    port = await listen(app);
    app.get(ImportWorker).start();
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const post = (payload: string | Buffer, query = '', headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: `${path}${query}`,
      payload,
      headers: { 'content-type': 'text/csv', ...headers },
    });
  const get = async (url: string) => (await app.inject(url)).json();
  const applied = async (location: string) => {
    await until(async () => (await get(location)).status === 'applied');
    return get(location);
  };
  const count = async (from: string): Promise<number> =>
    (await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${from}`)).rows[0]!.n;

  it('keeps the rows, answers where the import is to be seen, and applies it behind the answer', async () => {
    const answer = await post(`${header}h1,LAMP,10,\nh2,LAMP,ten,\nh3,LAMP,5,2030-01-01\n`, '?name=monday.csv');
    expect(answer.statusCode).toBe(202);
    const { id } = answer.json<{ id: string }>();
    expect(answer.headers.location).toBe(`${path}/${id}`);
    expect(answer.json()).toMatchObject({ file: 'monday.csv', rows: 3, repeats: null, reason: null });
    expect(await applied(`${path}/${id}`)).toMatchObject({
      id,
      ...{ rows: 3, created: 2, changed: 0, unchanged: 0, rejected: 1 },
      rejects: [{ line: 3, ref: null, reason: 'qty: a whole number is allowed' }],
      next: null,
    });
    expect(await get('/v1/batches/h3')).toMatchObject({ sku: 'LAMP', purchased: 5, eta: '2030-01-01' });
    const { rows } = await client.query(`SELECT DISTINCT actor, correlation_id FROM platform.event`);
    expect(rows).toEqual([{ actor: 'import', correlation_id: id }]);
  });

  it('applies a content once, unless it is asked to do it again', async () => {
    const file = `${header}once,LAMP,10,\n`;
    const first = (await post(file)).json<{ id: string }>();
    await applied(`${path}/${first.id}`);
    const repeated = await post(file);
    expect(repeated.statusCode).toBe(200);
    expect(repeated.headers.location).toBe(`${path}/${first.id}`);
    expect(repeated.json()).toMatchObject({ id: first.id, status: 'applied', created: 1 });
    const again = await post(file, '?again=true');
    expect(again.statusCode).toBe(202);
    const { id } = again.json<{ id: string }>();
    expect(id).not.toBe(first.id);
    expect(await applied(`${path}/${id}`)).toMatchObject({ created: 0, unchanged: 1 });
  });

  it('tells with dryRun what would happen, and does nothing', async () => {
    const before = await count('platform.event');
    const answer = await post(`${header}dry,LAMP,10,\nh1,SOFA,1,\n`, '?dryRun=true');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      ...{ created: 1, changed: 0, unchanged: 0, rejected: 1 },
      actions: [{ line: 2, kind: 'create', batch: { ref: 'dry', sku: 'LAMP', qty: 10, eta: null } }],
      rejects: [{ line: 3, ref: 'h1', reason: 'h1 is a batch of LAMP' }],
      consequences: { changes: 1, complete: true, gain: 0, lose: 0, move: 0, lines: [] },
    });
    expect(await count('platform.event')).toBe(before);
    expect(await count('inventory.import WHERE dry_run')).toBe(0);
  });

  it('gives rejected rows out in pages', async () => {
    const file = header + Array.from({ length: 7 }, (_, place) => `p${place},LAMP\n`).join('');
    const location = `${path}/${(await post(file)).json<{ id: string }>().id}`;
    await applied(location);
    const lines: number[] = [];
    for (let next: string | null = ''; next !== null;) {
      const page = await get(`${location}?limit=3${next && `&cursor=${next}`}`);
      expect(page.rejects.length).toBeLessThanOrEqual(3);
      lines.push(...page.rejects.map(({ line }: { line: number }) => line));
      next = page.next;
    }
    expect(lines).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });

  it('applies nothing of an upload that breaks off', async () => {
    const [events, imports] = [await count('platform.event'), await count('inventory.import')];
    const rows = Array.from({ length: 10_000 }, (_, place) => `broken-${place},LAMP,1,\n`).join('');
    const connection = new RawConnection(port);
    connection.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\ncontent-length: 1000000\r\n\r\n`,
    );
    connection.write(header, rows);
    await until(async () => (await count(`inventory.import_row WHERE ref LIKE 'broken-%'`)) > 0);
    connection.destroy();
    await until(async () => (await count(`inventory.import WHERE status = 'aborted' AND tidy`)) === 1);
    expect(await count('inventory.import')).toBe(imports + 1);
    expect(await count('inventory.import_row')).toBe(0);
    expect(await count('platform.event')).toBe(events);
    const { rows: aborted } = await client.query<{ id: string }>(
      `SELECT id FROM inventory.import WHERE status = 'aborted'`,
    );
    expect(await get(`${path}/${aborted[0]!.id}`)).toMatchObject({
      status: 'aborted',
      reason: expect.stringMatching(/^it broke off/),
    });
  });

  it('gives an upload up of whose receiver nothing is heard any more', async () => {
    await client.query(`
      INSERT INTO inventory.import (id, file, dry_run, lease_until)
      VALUES ('00000000-0000-7000-8000-000000000001', 'lost', false, now() - interval '1 second')`);
    app.get(ImportWorker).announce();
    await until(async () => (await get(`${path}/00000000-0000-7000-8000-000000000001`)).status === 'aborted');
  });

  it('applies an import that another replica has left, however far that came', async () => {
    await client.query(`
      INSERT INTO inventory.import (id, file, status, dry_run, digest, rows, done_sku, done_line, created, owner, lease_until)
      VALUES ('00000000-0000-7000-8000-000000000002', 'left', 'applying', false, '\\x02', 2, 'LAMP', 2, 1, gen_random_uuid(), now());
      INSERT INTO inventory.import_row (import_id, line, ref, sku, qty)
      VALUES ('00000000-0000-7000-8000-000000000002', 2, 'left-1', 'LAMP', 1),
             ('00000000-0000-7000-8000-000000000002', 3, 'left-2', 'LAMP', 1)`);
    app.get(ImportWorker).announce();
    expect(await applied(`${path}/00000000-0000-7000-8000-000000000002`)).toMatchObject({ created: 2, rows: 2 });
    expect(await count(`allocation.batch WHERE ref LIKE 'left-_'`)).toBe(1);
  });

  it.each<[string, string | Buffer, Record<string, string>, number, string]>([
    ['an empty body', '', {}, 400, 'unreadable-file'],
    ['a header that is none', 'ref,sku\n', {}, 400, 'unreadable-file'],
    ['a file in UTF-16', Buffer.from('\uFEFFref,sku,qty', 'utf16le'), {}, 400, 'unreadable-file'],
    ['a zip', Buffer.from([0x50, 0x4b, 3, 4, 255, 254, 0]), {}, 400, 'unreadable-file'],
    ['a line without an end', 'x'.repeat(3_000_000), {}, 400, 'unreadable-file'],
    ['JSON', '{}', { 'content-type': 'application/json' }, 415, 'unsupported-media-type'],
    ['another type', 'ref,sku,qty\n', { 'content-type': 'text/plain' }, 415, 'unsupported-media-type'],
    ['a compressed body', gzipSync('ref,sku,qty\n'), { 'content-encoding': 'gzip' }, 415, 'unsupported-media-type'],
  ])('refuses %s, and keeps nothing of it', async (_, body, headers, status, code) => {
    const imports = await count('inventory.import');
    const connection = new RawConnection(port);
    connection.request('POST', path, body, { 'content-type': 'text/csv', ...headers });
    const answer = await connection.answer();
    expect(JSON.parse(answer.body)).toMatchObject({ status, code });
    connection.request('GET', '/v1/batches/h1');
    expect((await connection.answer()).status).toBe(200);
    connection.destroy();
    expect(await count('inventory.import')).toBe(imports);
  });

  it.each(['?dryRun=yes', '?again=1', '?name=', '?name=a%00b', '?colour=red'])('refuses %s', async (query) => {
    const answer = await post(`${header}q1,LAMP,1,\n`, query);
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid-request' });
  });

  it('takes CSV nowhere else', async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/batches',
      payload: 'ref,sku,qty\n',
      headers: { 'content-type': 'text/csv' },
    });
    expect(answer.json()).toMatchObject({ status: 415, code: 'unsupported-media-type' });
  });

  it('knows no import that is not there', async () => {
    expect(await get(`${path}/00000000-0000-7000-8000-00000000000f`)).toMatchObject({ code: 'unknown-import' });
    expect(await get(`${path}/${'-'.repeat(36)}`)).toMatchObject({ code: 'invalid-request' });
    expect(await get(`${path}/17`)).toMatchObject({ code: 'unknown-route' });
    const { rows } = await client.query<{ id: string }>('SELECT id FROM inventory.import LIMIT 1');
    expect(await get(`${path}/${rows[0]!.id}?cursor=x`)).toMatchObject({ code: 'invalid-cursor' });
  });
});
