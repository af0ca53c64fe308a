import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Webhook } from 'standardwebhooks';
import { AppModule, modules } from '../../src/app.module';
import { DeliveriesCommand } from '../../src/notifications/cli/deliveries.command';
import { WebhooksCommand } from '../../src/notifications/cli/webhooks.command';
import { WebhookSender } from '../../src/notifications/messaging/webhook-sender';
import { type CliCommand, type Terminal, UsageError } from '../../src/platform/cli/cli-command';
import { runCommandLine } from '../../src/platform/cli/command-line';
import type { Database } from '../../src/platform/database/database';
import { Relay } from '../../src/platform/event-log/relay';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { WebhookSink } from './webhook-sink';
import { emptied, webhookDeliveries } from './webhook-world';

const nobody = '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47';

describe('Webhooks', () => {
  let test: TestDatabase;
  let database: Database;
  let app: NestFastifyApplication;
  let sink: WebhookSink;

  beforeAll(async () => {
    test = await freshDatabase();
    database = await test.connect();
    sink = await new WebhookSink().start();
    app = await startService(test.url, { WEBHOOK_ALLOW: '127.0.0.1' });
  });
  beforeEach(() => emptied(database));
  afterAll(async () => {
    await app.close();
    await sink.stop();
    await test.drop();
  });

  const ask = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, payload?: object) => {
    const answer = await app.inject({ method, url: `/v1/webhooks${path}`, ...(payload && { payload }) });
    const body = answer.body === '' ? undefined : answer.json<Record<string, unknown>>();
    return { status: answer.statusCode, headers: answer.headers, body: body! };
  };
  const register = async (more: object = {}): Promise<{ id: string; secret: string }> => {
    const { status, body } = await ask('POST', '', { url: sink.url, eventTypes: 'all', ...more });
    expect(status).toBe(201);
    return body as { id: string; secret: string };
  };

  it('tell an endpoint of what happens, from the request to its signed event', async () => {
    const { id, secret } = await register({ eventTypes: ['allocation.batch-created.v1'] });
    app.get(Relay).start();
    app.get(WebhookSender).start();
    await app.inject({ method: 'POST', url: '/v1/batches', payload: { ref: 'b1', sku: 'LAMP', qty: 10 } });
    await until(() => sink.received.length === 1);
    const [{ body, headers }] = sink.received as [{ body: string; headers: object }];
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toMatchObject({
      type: 'allocation.batch-created.v1',
      subject: 'LAMP',
      data: { ref: 'b1' },
    });
    await until(async () => (await webhookDeliveries(database))[0]?.status === 'delivered');
    const { body: page } = await ask('GET', `/${id}/deliveries`);
    expect(page).toMatchObject({
      deliveries: [
        {
          type: 'allocation.batch-created.v1',
          stream: 'product:LAMP',
          version: 1,
          status: 'delivered',
          attempts: 1,
          responseStatus: 204,
          error: null,
          nextAttemptAt: null,
        },
      ],
      next: null,
    });
    const metrics = (await app.inject('/metrics')).body;
    expect(metrics).toContain('batchwise_delivery_attempts_total{channel="webhook",outcome="delivered"} 1');
    expect(metrics).toContain('batchwise_deliveries_pending{channel="webhook"} 0');
    expect(metrics).toContain('batchwise_webhooks{state="closed"} 1');
    await app.get(WebhookSender).stop();
  });

  it('show their secret once', async () => {
    const { id, secret } = await register({ description: 'the shop' });
    expect(secret).toMatch(/^whsec_[\w+/]{43}=$/);
    const { body: webhook } = await ask('GET', `/${id}`);
    expect(webhook).toMatchObject({ id, url: sink.url, eventTypes: 'all', description: 'the shop', enabled: true });
    expect(webhook).not.toHaveProperty('secret');
    expect(JSON.stringify((await ask('GET', '')).body)).not.toContain(secret);
    const { status, body: rotated } = await ask('POST', `/${id}/rotate-secret`);
    expect(status).toBe(200);
    expect(rotated.secret).toMatch(/^whsec_/);
    expect(rotated.secret).not.toBe(secret);
  });

  it('are listed by pages, changed and forgotten', async () => {
    const ids = [(await register()).id, (await register()).id, (await register()).id].sort();
    const first = (await ask('GET', '?limit=2')).body as { webhooks: { id: string }[]; next: string };
    const second = (await ask('GET', `?limit=2&cursor=${first.next}`)).body as typeof first;
    expect([...first.webhooks, ...second.webhooks].map(({ id }) => id)).toEqual(ids);
    expect(second.next).toBeNull();

    const types = ['allocation.allocated.v1', 'allocation.deallocated.v1'];
    const changed = await ask('PATCH', `/${ids[0]}`, { eventTypes: types, enabled: false });
    expect(changed).toMatchObject({ status: 200, body: { eventTypes: types, enabled: false, disabledBecause: null } });
    expect((await ask('GET', `/${ids[0]}`)).body).toEqual(changed.body);
    expect(await ask('DELETE', `/${ids[0]}`)).toMatchObject({ status: 204, body: undefined });
    expect(await ask('GET', `/${ids[0]}`)).toMatchObject({ status: 404, body: { code: 'unknown-webhook' } });
  });

  it('show their deliveries by pages, and send one again', async () => {
    const { id } = await register();
    await database.query(
      {
        text: `
          INSERT INTO notifications.webhook_delivery (webhook_id, event_id, stream, version, type, status, done_at, last_error)
          SELECT $1, gen_random_uuid(), 'product:LAMP', n, 'allocation.allocated.v1', 'dead', now(), 'it answered 500'
          FROM generate_series(1, 3) AS n`,
      },
      [id],
    );
    const first = (await ask('GET', `/${id}/deliveries?status=dead&limit=2`)).body as {
      deliveries: { id: string; version: number }[];
      next: string;
    };
    const second = (await ask('GET', `/${id}/deliveries?status=dead&limit=2&cursor=${first.next}`))
      .body as typeof first;
    const all = [...first.deliveries, ...second.deliveries];
    expect(all.map(({ version }) => version).sort()).toEqual([1, 2, 3]);
    expect(all[0]).toMatchObject({ status: 'dead', error: 'it answered 500', nextAttemptAt: null });
    expect((await ask('GET', `/${id}/deliveries?status=pending`)).body).toEqual({ deliveries: [], next: null });

    const deliveryId = all[0]!.id;
    const again = await ask('POST', `/${id}/deliveries/${deliveryId}/redeliver`);
    expect(again).toMatchObject({ status: 202, body: { id: deliveryId, status: 'pending' } });
    const other = await register();
    expect((await ask('POST', `/${other.id}/deliveries/${deliveryId}/redeliver`)).body).toMatchObject({
      code: 'unknown-delivery',
    });
  });

  it.each([
    [{ url: 'http://8.8.8.8/' }, 'webhook-url-refused'],
    [{ url: 'https://169.254.169.254/latest/meta-data' }, 'webhook-url-refused'],
    [{ url: 'https://0x7f000002/' }, 'webhook-url-refused'],
    [{ url: 'https://user:password@example.com/' }, 'webhook-url-refused'],
    [{ url: 'gopher://example.com/' }, 'invalid-request'],
    [{ url: `https://example.com/${'x'.repeat(2_048)}` }, 'invalid-request'],
    [{ eventTypes: [] }, 'invalid-request'],
    [{ eventTypes: ['everything'] }, 'invalid-request'],
    [{ eventTypes: 'some' }, 'invalid-request'],
    [{ description: 'two\nlines' }, 'invalid-request'],
    [{ secret: 'whsec_mine' }, 'invalid-request'],
  ])('refuse to be registered with %j', async (wrong, code) => {
    const request = { url: 'https://example.com/', eventTypes: 'all', ...wrong };
    const { status, body } = await ask('POST', '', request);
    expect({ status, code: body.code }).toEqual({ status: 400, code });
    expect((await ask('GET', '')).body).toEqual({ webhooks: [], next: null });
  });

  it.each([
    ['GET', `/${nobody}`, undefined],
    ['PATCH', `/${nobody}`, { enabled: true }],
    ['DELETE', `/${nobody}`, undefined],
    ['POST', `/${nobody}/rotate-secret`, undefined],
    ['GET', `/${nobody}/deliveries`, undefined],
    ['POST', `/${nobody}/deliveries/${nobody}/redeliver`, undefined],
  ] as const)('answer %s %s with 404', async (method, path, payload) => {
    expect((await ask(method, path, payload)).status).toBe(404);
    expect((await ask(method, path.replaceAll(nobody, 'x'), payload)).status).toBe(400);
  });

  describe('on the command line', () => {
    const written = () => {
      let out = '';
      let err = '';
      const terminal: Terminal = {
        out: (line) => void (out += `${line}\n`),
        note: (line) => void (err += `${line}\n`),
        progress: () => ({ update: () => undefined, end: () => undefined }),
      };
      return { terminal, after: (code: number) => ({ code, out, err }) };
    };
    /** Runs a command of the application that is there. */
    const run = async (command: Type<CliCommand>, ...args: string[]) => {
      const { terminal, after } = written();
      return after(await app.get(command, { strict: false }).run(args, terminal));
    };
    const webhooks = (...args: string[]) => run(WebhooksCommand, ...args);
    const sent = (...args: string[]) => run(DeliveriesCommand, ...args);

    it('are added, shown, given new secrets and removed', async () => {
      const added = await webhooks('add', 'https://example.com/', '--types', 'allocation.allocated.v1');
      expect(added).toMatchObject({ code: 0, out: expect.stringMatching(/^whsec_\S+\n$/) });
      const id = /Webhook (\S+);/.exec(added.err)![1]!;
      const { out } = await webhooks('list');
      expect(out).toMatch(new RegExp(`${id}  https://example.com/  allocation.allocated.v1  enabled`));
      expect(out).not.toContain('whsec_');
      const rotated = await webhooks('rotate', id);
      expect(rotated.out).toMatch(/^whsec_/);
      expect(rotated.out).not.toBe(added.out);
      expect(await webhooks('remove', id)).toMatchObject({ code: 0 });
      expect(await webhooks('remove', id)).toMatchObject({ code: 1, err: `There is no webhook ${id}.\n` });
      expect((await webhooks('list')).out).toBe('There are no webhooks.\n');
    });

    it('are not added where nothing may be sent, or in words that nobody understands', async () => {
      const { terminal, after } = written();
      const commandLine = { version: '0', modules, application: AppModule.forRoot.bind(AppModule), outside: [] };
      const env = { DATABASE_URL: test.url, ALLOW_UNSAFE_DURABILITY: 'true', LOG_LEVEL: 'error' };
      const args = ['webhooks', 'add', 'https://127.0.0.1/'];
      expect(after(await runCommandLine(commandLine, args, env, terminal))).toMatchObject({
        code: 1,
        err: 'Nothing is sent to this URL: 127.0.0.1 is not an address of the public internet.\n',
      });
      const wrong = [
        ['add', 'ftp://a/'],
        ['add'],
        ['list', 'all'],
        ['remove', 'x'],
        ['add', 'https://a/', '--types', 'x'],
      ];
      for (const args of wrong) await expect(webhooks(...args)).rejects.toThrow(UsageError);
    });

    it('have what was given up sent again, and mails too', async () => {
      const { id } = await register();
      await database.query(
        {
          text: `
            WITH mail AS (
              INSERT INTO notifications.delivery
                (kind, sku, channel, sender, recipient, subject, body, event_id, stream, version, digest, spacing,
                 next_attempt_at, status, attempts, last_error, done_at)
              VALUES ('out-of-stock', 'LAMP', 'mail', 'a@b', 'stock@made.com', 's', 'b', gen_random_uuid(), 'product:LAMP', 1, true,
                      '1 hour', now(), 'dead', 15, 'no such mailbox', now())
            )
            INSERT INTO notifications.webhook_delivery
              (webhook_id, event_id, stream, version, type, status, attempts, last_error, done_at)
            VALUES ($1, gen_random_uuid(), 'product:LAMP', 1, 'allocation.allocated.v1', 'dead', 20, 'it answered 500', now())`,
        },
        [id],
      );
      expect((await app.inject('/metrics')).body).toContain('batchwise_deliveries_dead{channel="mail"} 1');
      const { out } = await sent('list');
      expect(out).toMatch(/mail +stock@made\.com +out-of-stock LAMP +15 .*no such mailbox/);
      expect(out).toMatch(/webhook +http:\/\/127\.0\.0\.1\S+ +product:LAMP version 1 +20 .*it answered 500/);
      const ids = out.match(/^[0-9a-f-]{36}/gm)!;
      expect((await sent('redeliver', ...ids)).out.match(/will be sent again/g)).toHaveLength(2);
      expect((await sent('list')).out).toBe('There are no dead deliveries.\n');
      expect((await sent('list', '--status', 'pending')).out.match(/^[0-9a-f-]{36}/gm)!.sort()).toEqual(ids.sort());
      // It was tried, so it is no digest that still counts orders.
      const mail = await database.query({ text: 'SELECT status, attempts FROM notifications.delivery' });
      expect(mail).toEqual([{ status: 'pending', attempts: 1 }]);
      expect(await sent('redeliver', nobody)).toMatchObject({ code: 1 });
      await expect(sent('redeliver', 'x')).rejects.toThrow(UsageError);
    });
  });
});
