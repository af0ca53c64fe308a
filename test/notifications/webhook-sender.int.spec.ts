import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Webhook } from 'standardwebhooks';
import { StoredDeliveries } from '../../src/notifications/persistence/stored-deliveries';
import { StoredWebhooks } from '../../src/notifications/persistence/stored-webhooks';
import { Destinations } from '../../src/notifications/messaging/destinations';
import { circuit } from '../../src/notifications/messaging/due-webhooks';
import { pauseAfter, webhookRetries } from '../../src/notifications/messaging/retry';
import type { WebhookSender } from '../../src/notifications/messaging/webhook-sender';
import { Database } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import { freshDatabase, type TestDatabase } from '../support/database';
import { appended } from '../support/relay-world';
import { until } from '../support/replica';
import {
  type Behaviour,
  cut,
  cutMidway,
  drip,
  dripHeaders,
  dripInterim,
  flood,
  hang,
  type ReceivedWebhook,
  redirectTo,
  say,
  WebhookSink,
} from './webhook-sink';
import {
  emptied,
  published,
  registered,
  senderOn,
  timePasses,
  timePassesUntilDue,
  webhookDeliveries,
} from './webhook-world';

/** What a receiver does with a request. @throws unless the secret signed it */
const verified = (secret: string | null, { body, headers }: ReceivedWebhook): unknown =>
  new Webhook(secret!).verify(body, headers as Record<string, string>);

describe('WebhookSender', () => {
  let test: TestDatabase;
  let database: Database;
  let registry: StoredWebhooks;
  let sink: WebhookSink;
  let sender: WebhookSender;
  const logged = { warn: jest.fn(), error: jest.fn(), log: jest.fn() };

  beforeAll(async () => {
    Logger.overrideLogger(logged);
    test = await freshDatabase();
    database = await test.connect();
    registry = new StoredWebhooks(database);
  });
  afterAll(() => test.drop());

  beforeEach(async () => {
    await emptied(database);
    for (const mock of Object.values(logged)) mock.mockClear();
    sink = await new WebhookSink().start();
    sender = senderOn(database);
  });
  afterEach(() => sink.stop());

  let streams = 0;
  /** Lets so many things happen, of which the webhooks are to be told. */
  const happen = async (count = 1): Promise<string> => {
    const stream = `product:THING-${(streams += 1)}`;
    await appended(database, stream, count, 'something');
    await published(database);
    return stream;
  };
  const only = async () => {
    const rows = await webhookDeliveries(database);
    expect(rows).toHaveLength(1);
    return rows[0]!;
  };

  it('tells of an event, signed as Standard Webhooks, and remembers that', async () => {
    const { webhook, secret } = await registered(database, sink.url);
    const stream = await happen();
    expect(await sender.sendDue()).toBe(1);
    expect(await sender.sendDue()).toBe(0);

    const { body, headers } = sink.received[0]!;
    const event = verified(secret, sink.received[0]!);
    expect(event).toMatchObject({
      specversion: '1.0',
      source: '/batchwise/product',
      type: 'test.happened.v1',
      subject: stream.slice('product:'.length),
      version: 1,
      data: { what: 'something' },
    });
    expect(JSON.parse(body)).toEqual(event);
    expect(headers['content-type']).toContain('application/cloudevents+json');
    expect(headers['webhook-id']).toBe(`${(event as { id: string }).id}_${webhook.id}`);
    expect(await only()).toMatchObject({ status: 'delivered', attempts: 1, responseStatus: 204, error: null });
    expect([...sender.outcomes]).toEqual([['delivered', 1]]);
  });

  it('is not believed by whoever has another secret, or gets another body', async () => {
    const { secret } = await registered(database, sink.url);
    await happen();
    await sender.sendDue();
    const [request] = sink.received as [ReceivedWebhook];
    expect(() => verified('whsec_c29tZXRoaW5nIGVsc2U=', request)).toThrow();
    expect(() => verified(secret, { ...request, body: request.body.replace('something', 'anything') })).toThrow();
  });

  it('signs with the old secret too for a day after a rotation', async () => {
    const { webhook, secret: old } = await registered(database, sink.url);
    const { secret } = await registry.rotateSecret(webhook.id);
    expect(secret).not.toBe(old);
    await happen();
    await sender.sendDue();
    expect(sink.received[0]!.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    for (const one of [old, secret]) expect(() => verified(one, sink.received[0]!)).not.toThrow();

    await timePasses(database, '24 hours');
    await happen();
    await sender.sendDue();
    expect(() => verified(secret, sink.received[1]!)).not.toThrow();
    expect(() => verified(old, sink.received[1]!)).toThrow();
  });

  it.each([
    ['answers 500', 500, 'it answered 500', 500],
    ['answers 404', 404, 'it answered 404', 404],
    ['answers 304', 304, 'redirects are not followed', 304],
    ['closes the connection', cut, 'socket hang up', null],
    ['cuts its answer in the middle, though it began with 200', cutMidway, 'before the answer had ended', null],
    ['answers in another language', say('220 mail.example.com ESMTP\r\n'), 'Parse Error', null],
    [
      'answers with headers without end',
      say(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(64 * 1024)}`),
      'Header overflow',
      null,
    ],
    ['wants another protocol', say('HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'), 'closed', null],
  ] as [string, Behaviour, string, number | null][])(
    'sends again later, with the same id, when an endpoint %s',
    async (_, behaviour, error, responseStatus) => {
      sink.behaviour = behaviour;
      const { secret } = await registered(database, sink.url);
      await happen();
      await sender.sendDue();
      expect(await only()).toMatchObject({ status: 'pending', attempts: 1, responseStatus });
      expect((await only()).error).toContain(error);
      expect(await sender.sendDue()).toBe(0);

      sink.behaviour = 200;
      await timePassesUntilDue(database);
      expect(await sender.sendDue()).toBe(1);
      expect(await only()).toMatchObject({ status: 'delivered', attempts: 2, responseStatus: 200 });
      expect(new Set(sink.ids).size).toBe(1);
      expect(sink.received).toHaveLength(2);
      expect(sink.received[1]!.body).toBe(sink.received[0]!.body);
      expect(() => verified(secret, sink.received[1]!)).not.toThrow();
      expect([...sender.outcomes]).toEqual([
        ['failed', 1],
        ['delivered', 1],
      ]);
    },
  );

  it.each([301, 302, 303, 307, 308])('follows no redirect of %i', async (responseStatus) => {
    const elsewhere = await new WebhookSink().start();
    sink.behaviour = redirectTo(elsewhere.url, responseStatus);
    await registered(database, sink.url);
    await happen();
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'pending', responseStatus });
    expect(elsewhere.connections).toBe(0);
    await elsewhere.stop();
  });

  it.each([
    ['never answers', hang],
    ['never ends its answer', drip],
    ['never ends its headers', dripHeaders],
    ['never comes to its answer', dripInterim],
  ])('does not wait for an endpoint that %s', async (_, behaviour) => {
    sink.behaviour = behaviour;
    sender.limits.attempt = 150;
    await registered(database, sink.url);
    await happen();
    await sender.sendDue();
    expect(await only()).toMatchObject({
      status: 'pending',
      attempts: 1,
      responseStatus: null,
      error: 'it took longer than 0.15 s',
    });
  });

  it('does not wait for a name that is never found', async () => {
    const forgetful = senderOn(database, new Destinations([], () => undefined));
    forgetful.limits.attempt = 150;
    await registered(database, 'https://nowhere.test/');
    await happen();
    await forgetful.sendDue();
    expect(await only()).toMatchObject({ status: 'pending', error: 'it took longer than 0.15 s' });
  });

  it('reads no more of an answer than a little', async () => {
    sink.behaviour = flood;
    await registered(database, sink.url);
    await happen();
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'delivered', responseStatus: 200 });
  });

  it('sends nothing where nothing may be sent any more', async () => {
    await registered(database, sink.url);
    await happen();
    const strict = senderOn(database, new Destinations([]));
    await strict.sendDue();
    expect(await only()).toMatchObject({ status: 'pending', attempts: 1 });
    expect((await only()).error).toBe('127.0.0.1 is not an address of the public internet');
    expect(sink.connections).toBe(0);
  });

  it('tells nobody the secret, nor what may be one in a URL', async () => {
    sink.behaviour = 500;
    const { secret } = await registered(database, sink.url);
    await happen();
    await sender.sendDue();
    const lines = JSON.stringify(Object.values(logged).flatMap((mock) => mock.mock.calls as unknown[]));
    expect(lines).toContain('it answered 500');
    expect(lines).not.toContain(secret!.slice('whsec_'.length));
    expect(lines).not.toContain('s3cret');
  });

  it('disables an endpoint that says that it is gone, and sends it nothing any more', async () => {
    sink.behaviour = 410;
    const { webhook } = await registered(database, sink.url);
    await happen(1);
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'dead', attempts: 1, responseStatus: 410, error: 'it answered 410' });
    const [row] = await database.query({ text: 'SELECT enabled, disabled_because FROM notifications.webhook' });
    expect(row).toEqual({ enabled: false, disabled_because: 'it answered 410 Gone' });

    await happen();
    expect(await webhookDeliveries(database)).toHaveLength(1);
    const enabled = await registry.change(webhook.id, { enabled: true });
    expect(enabled).toMatchObject({ enabled: true, disabledBecause: null });
    await published(database);
    expect(await webhookDeliveries(database)).toHaveLength(1);
    await happen();
    expect(await webhookDeliveries(database)).toHaveLength(2);
  });

  it('keeps what waits for an endpoint while that is disabled', async () => {
    const { webhook } = await registered(database, sink.url);
    await happen();
    await registry.change(webhook.id, { enabled: false });
    expect(await sender.sendDue()).toBe(0);
    await registry.change(webhook.id, { enabled: true });
    expect(await sender.sendDue()).toBe(1);
    expect(await only()).toMatchObject({ status: 'delivered' });
  });

  describe('retries', () => {
    it('come less and less often, eight hours apart at most, a fifth more or less', () => {
      const middle = [1, 2, 3, 4, 5].map((attempts) => pauseAfter(webhookRetries, attempts, 0.5));
      expect(middle).toEqual([5, 10, 20, 40, 80]);
      expect(pauseAfter(webhookRetries, 100, 0.5)).toBe(8 * 3_600);
      expect(pauseAfter(webhookRetries, 100, 0)).toBeCloseTo(6.4 * 3_600);
      let attempts = 1;
      for (let at = 0; at < webhookRetries.giveUpAfter; attempts += 1) at += pauseAfter(webhookRetries, attempts, 0.5);
      expect(attempts).toBe(22);
    });

    it('go on for three days, and then the delivery is dead', async () => {
      sink.behaviour = 503;
      await registered(database, sink.url);
      await happen();
      const sinceFirst = {
        text: 'SELECT extract(epoch FROM clock_timestamp() - first_attempt_at)::float8 AS s FROM notifications.webhook_delivery',
      };
      let last = 0;
      while ((await sender.sendDue()) > 0) {
        last = (await database.query<{ s: number }>(sinceFirst))[0]!.s;
        if ((await only()).status === 'pending') await timePassesUntilDue(database);
      }
      const { status, attempts } = await only();
      expect(status).toBe('dead');
      expect(attempts).toBe(sink.received.length);
      expect(attempts).toBeGreaterThan(15);
      expect(last / 3_600).toBeGreaterThanOrEqual(72);
      expect(last / 3_600).toBeLessThan(73);
      expect(sender.outcomes.get('dead')).toBe(1);
    });
  });

  describe('with an endpoint that fails again and again', () => {
    const states = async (): Promise<unknown> =>
      (await database.query({ text: 'SELECT failures, open_until > now() AS open FROM notifications.webhook' }))[0];
    const untilOpen = async (): Promise<void> => {
      sink.behaviour = 500;
      await happen(10);
      while ((await sender.sendDue()) > 0);
    };

    it('leaves it alone for a while', async () => {
      await registered(database, sink.url);
      await untilOpen();
      expect(await states()).toEqual({ failures: circuit.failures, open: true });
      // Those that were under way together are the only ones behind the fifth.
      expect(sink.received.length).toBeGreaterThanOrEqual(circuit.failures);
      expect(sink.received.length).toBeLessThanOrEqual(8);
      await happen();
      expect(await sender.sendDue()).toBe(0);
    });

    it.each([
      ['hangs', hang],
      ['cuts its answers', cutMidway],
      ['redirects', redirectTo('https://example.com/')],
    ])('counts one that %s among them', async (_, behaviour) => {
      sender.limits.attempt = 150;
      sink.behaviour = behaviour;
      await registered(database, sink.url);
      await happen(5);
      while ((await sender.sendDue()) > 0);
      expect(await states()).toEqual({ failures: circuit.failures, open: true });
    });

    it('then tries one delivery, and if that fails too, waits for longer', async () => {
      await registered(database, sink.url);
      await untilOpen();
      const before = sink.received.length;
      await timePasses(database, '31 seconds');
      expect(await sender.sendDue()).toBe(1);
      expect(await sender.sendDue()).toBe(0);
      expect(sink.received).toHaveLength(before + 1);
      await timePasses(database, '31 seconds');
      expect(await sender.sendDue()).toBe(0);
      await timePasses(database, '31 seconds');
      expect(await sender.sendDue()).toBe(1);
    });

    it('goes on as usual once one is accepted', async () => {
      await registered(database, sink.url);
      await untilOpen();
      sink.behaviour = 204;
      await timePasses(database, '31 seconds');
      expect(await sender.sendDue()).toBe(1);
      expect(await states()).toEqual({ failures: 0, open: null });
      expect(await sender.sendDue()).toBe(4);
      while ((await sender.sendDue()) > 0);
      expect(new Set((await webhookDeliveries(database)).map(({ status }) => status))).toEqual(new Set(['delivered']));
    });

    it('gives up after three days what waited behind it', async () => {
      await registered(database, sink.url);
      await untilOpen();
      await timePasses(database, '73 hours');
      await happen();
      await sender.sendDue();
      const rows = await webhookDeliveries(database);
      // The one that was tried now, and the one that is new.
      expect(rows.filter(({ status }) => status === 'pending')).toHaveLength(2);
      expect(rows.filter(({ status }) => status === 'dead')).toHaveLength(9);
      expect(rows.every(({ error, status }) => status === 'pending' || error !== null)).toBe(true);
    });

    it('keeps no other endpoint waiting', async () => {
      const healthy = await new WebhookSink().start();
      sink.behaviour = hang;
      sender.limits.attempt = 60_000;
      sender.limits.stop = 0;
      sender.limits.look = 20;
      await registered(database, sink.url);
      await registered(database, healthy.url);
      await happen(50);
      sender.start();
      await until(() => healthy.received.length === 50);
      expect(sink.received).toHaveLength(4);
      await sender.stop();
      await healthy.stop();
    });
  });

  describe('beside others', () => {
    it('shares the work, each delivery sent once', async () => {
      const atOnce = 24; // Six times four; one replica alone has no more than twenty.
      const waiting: (() => void)[] = [];
      sink.behaviour = (response) => {
        waiting.push(() => response.writeHead(204).end());
        if (sink.received.length >= atOnce) for (const answer of waiting.splice(0)) answer();
      };
      for (let i = 0; i < 6; i += 1) await registered(database, sink.url);
      await happen(20);
      const replicas = [sender, senderOn(await test.connect()), senderOn(await test.connect())];
      for (const replica of replicas) Object.assign(replica.limits, { look: 20 });
      for (const replica of replicas) replica.start();
      await until(async () => (await webhookDeliveries(database)).every(({ status }) => status === 'delivered'));
      await Promise.all(replicas.map((replica) => replica.stop()));
      expect(sink.received).toHaveLength(120);
      expect(new Set(sink.ids).size).toBe(120);
      expect(replicas.filter(({ outcomes }) => outcomes.has('delivered')).length).toBeGreaterThanOrEqual(2);
    });

    it('sends again, with the same id, what one had claimed that died', async () => {
      const connections = await new DataSource(dataSourceOptions(test.url)).initialize();
      const dying = senderOn(new Database(connections));
      sink.behaviour = (response) => void connections.destroy().then(() => response.writeHead(204).end());
      await registered(database, sink.url);
      await happen();
      await expect(dying.sendDue()).rejects.toThrow();
      expect(await only()).toMatchObject({ status: 'pending', attempts: 1 });

      sink.behaviour = 204;
      expect(await sender.sendDue()).toBe(0);
      await timePasses(database, '31 seconds');
      expect(await sender.sendDue()).toBe(1);
      expect(await only()).toMatchObject({ status: 'delivered', attempts: 2 });
      expect(sink.ids).toHaveLength(2);
      expect(new Set(sink.ids).size).toBe(1);
    });
  });

  describe('redelivery', () => {
    const redeliver = async (): Promise<void> => new StoredDeliveries(database).redeliver((await only()).id);

    it('sends again what was accepted, with the same id', async () => {
      await registered(database, sink.url);
      await happen();
      await sender.sendDue();
      await redeliver();
      expect(await only()).toMatchObject({ status: 'pending' });
      expect(await sender.sendDue()).toBe(1);
      expect(await only()).toMatchObject({ status: 'delivered' });
      expect(sink.ids).toHaveLength(2);
      expect(new Set(sink.ids).size).toBe(1);
    });

    it('begins the three days anew for what was dead', async () => {
      sink.behaviour = 500;
      await registered(database, sink.url);
      await happen();
      await sender.sendDue();
      await timePasses(database, '73 hours');
      await sender.sendDue();
      expect(await only()).toMatchObject({ status: 'dead' });
      await redeliver();
      await sender.sendDue();
      expect(await only()).toMatchObject({ status: 'pending' });
    });

    it('does not wait for a circuit that is open', async () => {
      await registered(database, sink.url);
      await happen();
      await database.query({
        text: `UPDATE notifications.webhook SET failures = 9, open_until = now() + interval '1 hour'`,
      });
      expect(await sender.sendDue()).toBe(0);
      await redeliver();
      expect(await sender.sendDue()).toBe(1);
    });

    it('to a webhook that is disabled waits until that is enabled', async () => {
      const { webhook } = await registered(database, sink.url);
      await happen();
      await sender.sendDue();
      await registry.change(webhook.id, { enabled: false });
      await redeliver();
      expect(await sender.sendDue()).toBe(0);
      await registry.change(webhook.id, { enabled: true });
      expect(await sender.sendDue()).toBe(1);
      expect(sink.ids).toHaveLength(2);
    });

    it('does not disturb what is under way', async () => {
      let answer = (): void => undefined;
      sink.behaviour = (response) => void (answer = () => response.writeHead(204).end());
      await registered(database, sink.url);
      await happen();
      const sending = sender.sendDue();
      await until(() => sink.received.length === 1);
      await redeliver();
      expect(await senderOn(database).sendDue()).toBe(0);
      answer();
      await sending;
      expect(await only()).toMatchObject({ status: 'delivered', attempts: 1 });
    });
  });
});
