import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { MailSender } from '../../src/notifications/messaging/mail-sender';
import { WebhookSender } from '../../src/notifications/messaging/webhook-sender';
import { invariants } from '../../src/notifications/persistence/invariants';
import { webhookInvariants } from '../../src/notifications/persistence/webhook-invariants';
import type { Database } from '../../src/platform/database/database';
import { Relay } from '../../src/platform/event-log/relay';
import { startService } from '../support/app';
import { brokenBy } from '../support/corruptions';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { MailServer, type Refusals, stopAll } from './mail-server';
import { deliveries, letPass } from './out-of-stock';
import { type Behaviour, cut, cutMidway, dripHeaders, hang, redirectTo, WebhookSink } from './webhook-sink';
import { timePasses, webhookDeliveries } from './webhook-world';

describe('The service, whose mail server and one of whose webhooks', () => {
  let test: TestDatabase;
  let database: Database;
  let client: Client;
  let app: NestFastifyApplication;
  let server: MailServer;
  let bad: WebhookSink;
  let good: WebhookSink;
  let tests = 0;

  beforeAll(async () => {
    test = await freshDatabase();
    database = await test.connect();
    client = await test.client();
    server = await new MailServer().start();
    bad = await new WebhookSink().start();
    good = await new WebhookSink().start();
    app = await startService(test.url, { SMTP_URL: server.url, WEBHOOK_ALLOW: '127.0.0.1' });
    for (const { url } of [bad, good]) await post('/v1/webhooks', { url, eventTypes: 'all' }, 201);
    for (const sender of [app.get(MailSender), app.get(WebhookSender)]) {
      Object.assign(sender.limits, { attempt: 500, look: 20 });
      sender.start();
    }
    app.get(Relay).start();
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([stopAll(), bad.stop(), good.stop()]);
    await test.drop();
  });

  const post = async (url: string, payload: object, status: number): Promise<void> => {
    const answer = await app.inject({ method: 'POST', url, payload });
    expect({ url, status: answer.statusCode }).toEqual({ url, status });
  };
  /** What was tried, and was not accepted. */
  const failed = ({ status, error }: { status: string; error: string | null }): boolean =>
    status === 'pending' && error !== null;

  it.each<[string, Behaviour, Refusals]>([
    ['refuse everything', 500, { text: 451 }],
    ['want it elsewhere', redirectTo('https://example.com/'), { recipient: 450 }],
    ['hang', hang, { hang: true }],
    ['never come to an end', dripHeaders, { hang: true }],
    ['cut connections', cut, { cut: true }],
    ['cut their answers', cutMidway, { cut: true }],
  ])('%s, goes on, and tells them everything once they are well', async (_, behaviour, refusals) => {
    const sku = `SKU-${(tests += 1)}`;
    const aboutSku = ({ body }: { body: string }): boolean => body.includes(`"subject":"${sku}"`);
    const mails = async () => (await deliveries(database)).filter((delivery) => delivery.sku === sku);
    const owed = async () =>
      (await webhookDeliveries(database)).filter(({ event }) => event.startsWith(`product:${sku}/`));
    bad.behaviour = behaviour;
    server.refusals = refusals;

    await post('/v1/batches', { ref: `b-${sku}`, sku, qty: 5 }, 201);
    await post('/v1/allocations', { orderId: 'o1', sku, qty: 3 }, 201);
    await post('/v1/allocations', { orderId: 'o2', sku, qty: 3 }, 409);
    await until(() => good.received.filter(aboutSku).length === 3);
    await until(async () => (await owed()).filter(failed).length === 3 && (await mails()).some(failed));
    expect((await app.inject('/health/ready')).statusCode).toBe(200);

    bad.behaviour = 204;
    server.refusals = {};
    await until(async () => {
      await timePasses(database, '1 minute');
      await letPass(database, '1 minute');
      return [...(await owed()), ...(await mails())].every(({ status }) => ['delivered', 'sent'].includes(status));
    });
    const told = bad.received.filter(aboutSku);
    expect(new Set(told.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(new Set(told.map(({ body }) => body)).size).toBe(3);
    expect(told.length).toBeGreaterThanOrEqual(6);
    const [mail, ...others] = await mails();
    expect(others).toEqual([]);
    expect(server.messageIds).toContain(mail!.messageId);
    for (const invariant of [...invariants, ...webhookInvariants])
      expect(await brokenBy('SELECT 1', new invariant(), client)).toEqual([]);
  });
});
