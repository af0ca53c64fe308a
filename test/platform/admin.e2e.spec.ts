import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { Relay } from '../../src/platform/event-log/relay';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';

type Body = Record<string, unknown>;

describe('The operator’s API', () => {
  let test: TestDatabase;
  let client: Client;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    test = await freshDatabase();
    client = await test.client();
    app = await startService(test.url);
    for (const ref of ['b1', 'b2', 'b3', 'b4'])
      await app.inject({ method: 'POST', url: '/v1/batches', payload: { ref, sku: 'LAMP', qty: 10 } });
    await client.query(`INSERT INTO platform.subscriber (name) VALUES ('gone-publisher'), ('other')`);
  });

  beforeEach(async () => {
    await client.query(`
      DELETE FROM platform.discarded_event;
      DELETE FROM platform.parked_event;
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts, dead_at, error)
        SELECT 'gone-publisher', 'product:LAMP', version, 12, now(), 'too heavy' FROM generate_series(1, 3) AS version;
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts, dead_at, error)
        VALUES ('other', 'product:LAMP', 1, 12, now(), 'too light');
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('other', 'product:LAMP', 2, 0)`);
  });

  afterAll(async () => {
    await app.close();
    await test.drop();
  });

  const ask = async (method: 'GET' | 'POST', path: string) => {
    const answer = await app.inject({ method, url: `/v1/admin/${path}` });
    const body: Body = answer.body === '' ? {} : answer.json<Body>();
    return { status: answer.statusCode, body };
  };
  const letters = (body: Body) => body.deadLetters as (Body & { id: string; subscriber: string; version: number })[];
  const idsOf = async (subscriber: string): Promise<string[]> =>
    letters((await ask('GET', `dead-letters?subscriber=${subscriber}`)).body).map(({ id }) => id);
  const subscribers = async () => (await ask('GET', 'subscribers')).body.subscribers as Body[];

  it('shows how far every subscriber is, who works it, and what it could not digest', async () => {
    const before = await subscribers();
    expect(before).toContainEqual(
      expect.objectContaining({
        name: 'gone-publisher',
        kind: 'unknown',
        owner: null,
        leaseUntil: null,
        parked: 0,
        dead: 3,
      }),
    );
    expect(before).toContainEqual(expect.objectContaining({ name: 'other', parked: 1, dead: 1, lagEvents: 4 }));
    const stock = { name: 'stock', kind: 'projection' };
    expect(before).toContainEqual(expect.objectContaining({ ...stock, position: '0', lagEvents: 4, owner: null }));

    app.get(Relay).start();
    await until(async () => (await subscribers()).find(({ name }) => name === 'stock')!.lagEvents === 0);
    const after = (await subscribers()).find(({ name }) => name === 'stock')!;
    expect(after).toMatchObject({ ...stock, lagSeconds: 0, owner: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(Date.parse(after.leaseUntil as string)).toBeGreaterThan(Date.now());
    await app.get(Relay).stop();
  });

  it('lists dead letters page by page, of one subscriber or of all', async () => {
    const found: string[] = [];
    let next: string | null = '';
    for (let pages = 1; next !== null; pages += 1) {
      const { status, body } = await ask('GET', `dead-letters?limit=3${next && `&cursor=${next}`}`);
      expect(status).toBe(200);
      found.push(...letters(body).map(({ subscriber, version }) => `${subscriber}/${version}`));
      next = body.next as string | null;
      expect(pages).toBeLessThanOrEqual(2);
    }
    expect(found).toEqual(['gone-publisher/1', 'gone-publisher/2', 'gone-publisher/3', 'other/1']);
    expect(await idsOf('other')).toHaveLength(1);
    expect(await idsOf('nobody')).toEqual([]);
  });

  it('shows a dead letter with its event and its error', async () => {
    const [id] = await idsOf('gone-publisher');
    expect((await ask('GET', `dead-letters/${id}`)).body).toEqual({
      id,
      subscriber: 'gone-publisher',
      stream: 'product:LAMP',
      version: 1,
      type: 'allocation.batch-created.v1',
      data: expect.objectContaining({ ref: 'b1', sku: 'LAMP' }),
      attempts: 12,
      error: 'too heavy',
      deadAt: expect.stringMatching(/^\d{4}-.+Z$/),
    });
  });

  it('has a dead letter tried again, or gives it up, once', async () => {
    const [one, two] = (await idsOf('gone-publisher')) as [string, string];
    expect(await ask('POST', `dead-letters/${one}/replay`)).toEqual({
      status: 202,
      body: { id: one, status: 'pending' },
    });
    expect((await ask('POST', `dead-letters/${two}/discard`)).status).toBe(204);
    for (const path of [`${one}/replay`, `${two}/discard`, `${two}/replay`])
      expect(await ask('POST', `dead-letters/${path}`)).toMatchObject({
        status: 404,
        body: { code: 'unknown-dead-letter' },
      });
    expect((await ask('GET', `dead-letters/${one}`)).status).toBe(404);
    const { rows } = await client.query('SELECT dead_at, attempts FROM platform.parked_event WHERE id = $1', [one]);
    expect(rows).toEqual([{ dead_at: null, attempts: 0 }]);
    const given = await client.query('SELECT version::int FROM platform.discarded_event');
    expect(given.rows).toEqual([{ version: 2 }]);
  });

  it('refuses what makes no sense', async () => {
    for (const path of [
      'dead-letters/x',
      'dead-letters/0',
      'dead-letters/9999999999999999999',
      'dead-letters?cursor=x',
      'dead-letters?limit=0',
      'dead-letters?subscriber=',
      'dead-letters?all=1',
      'deliveries?status=sent',
      'deliveries?cursor=eyJpZCI6IjEifQ',
    ])
      expect({ path, ...(await ask('GET', path)) }).toMatchObject({ path, status: 400 });
  });

  it('lists mails and webhook deliveries that were given up, and sends them again', async () => {
    expect((await ask('GET', 'deliveries')).body).toEqual({ deliveries: [], next: null });
    await client.query(`
      INSERT INTO notifications.delivery (kind, sku, channel, sender, recipient, subject, body, event_id, stream, version,
                                          digest, spacing, status, attempts, next_attempt_at, done_at, last_error)
      SELECT 'out-of-stock', 'LAMP', 'mail', 'a@example.com', 'b@example.com', 's', 't', gen_random_uuid(), 'product:LAMP',
             n, false, '1 h', 'dead', 40, now(), now(), 'refused' FROM generate_series(1, 2) AS n`);
    const first = (await ask('GET', 'deliveries?limit=1')).body as { deliveries: Body[]; next: string };
    expect(first.deliveries).toEqual([
      expect.objectContaining({ channel: 'mail', to: 'b@example.com', status: 'dead', attempts: 40, error: 'refused' }),
    ]);
    const second = (await ask('GET', `deliveries?cursor=${first.next}`)).body as { deliveries: Body[]; next: null };
    expect(second).toMatchObject({ deliveries: [{ about: 'out-of-stock LAMP' }], next: null });
    const { id } = second.deliveries[0] as { id: string };
    expect(await ask('POST', `deliveries/${id}/redeliver`)).toEqual({ status: 202, body: { id, status: 'pending' } });
    expect((await ask('GET', 'deliveries?status=pending')).body).toMatchObject({ deliveries: [{ id }] });
    const unknown = '0199f4b3-0b1c-7d3a-8c55-3f0a8b1e2d48';
    expect(await ask('POST', `deliveries/${unknown}/redeliver`)).toMatchObject({
      status: 404,
      body: { code: 'unknown-delivery' },
    });
  });

  it('is for those alone who may operate', async () => {
    const key = 'k'.repeat(40);
    const guarded = await startService(test.url, { API_KEYS: `shop stock:read,allocate ${key}` });
    for (const url of ['subscribers', 'dead-letters', 'dead-letters/1', 'deliveries']) {
      const headers = { authorization: `Bearer ${key}` };
      expect((await guarded.inject({ url: `/v1/admin/${url}`, headers })).statusCode).toBe(403);
    }
    await guarded.close();
  });
});
