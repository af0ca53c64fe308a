import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { StockLow } from '../../src/inventory/contract/events';
import { StockLowMail } from '../../src/notifications/domain/stock-low-mail';
import { EmailBuyersWhenStockIsLow } from '../../src/notifications/reactions/email-buyers-when-stock-is-low.reaction';
import { Workers } from '../../src/platform/workers';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { MailServer, stopAll } from './mail-server';

describe('EmailBuyersWhenStockIsLow', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;
  let server: MailServer;

  beforeAll(async () => {
    db = await freshDatabase();
    server = await new MailServer().start();
    app = await startService(db.url, { SMTP_URL: server.url, STOCK_LOW_MAIL_SUBJECT: 'Buy <sku>!' });
    app.get(Workers, { strict: false }).start();
  });
  afterAll(async () => {
    await app.close();
    await stopAll();
    await db.drop();
  });

  const send = async (method: 'POST' | 'PUT', url: string, payload: object): Promise<void> => {
    expect((await app.inject({ method, url, payload })).statusCode).toBeLessThan(300);
  };
  const allocate = (orderId: string, qty: number) => send('POST', '/v1/allocations', { orderId, sku: 'LAMP', qty });
  const received = async (mails: number) => {
    await until(() => server.received.length >= mails);
    return server.received.map(({ to, headers: { subject }, text }) => `${to.join()} ${subject}: ${text}`);
  };

  it('mails once a crossing, from the stock to the mail server', async () => {
    const low = (units: number) =>
      `stock@made.com Buy LAMP!: Stock of LAMP is low: ${units} left, the reorder point is 10`;
    await send('PUT', '/v1/stock/LAMP/threshold', { reorderPoint: 10 });
    await send('POST', '/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 20 });
    await allocate('o1', 15);
    expect(await received(1)).toEqual([low(5)]);
    await allocate('o2', 1);
    await send('POST', '/v1/batches', { ref: 'b2', sku: 'LAMP', qty: 20 });
    const recovered = { text: `SELECT FROM platform.event WHERE stream = 'stock:LAMP' AND version = 2` };
    const database = await db.connect();
    await until(async () => (await database.query(recovered)).length > 0);
    await allocate('o3', 16);
    expect(await received(2)).toEqual([low(5), low(8)]);
    expect(new Set(server.messageIds).size).toBe(2);
    expect(server.received[1]!.headers).toMatchObject({
      'x-batchwise-stream': 'stock:LAMP',
      'x-batchwise-version': '3',
    });
  });

  it('writes one mail for an event, however often it is delivered', async () => {
    const database = await db.connect();
    const mail = new StockLowMail({ sender: 'a@b', recipient: 'c@d', subject: '<sku>', body: '<available>/<other>' });
    const reaction = new EmailBuyersWhenStockIsLow(database, mail, { announce: () => undefined });
    const event = new StockLow({
      sku: 'VASE',
      available: 3,
      skuVersion: 9,
      pattern: 'V*',
      reorderPoint: 5,
      clearAt: 6,
    });
    const id = '01890000-0000-7000-8000-000000000001';
    event.origin = { id, stream: 'stock:VASE', version: 1, occurredAt: '', actor: 'test', correlationId: null };
    await Promise.all([reaction.handle(event), reaction.handle(event), reaction.handle(event)]);
    const rows = await database.query({
      text: `SELECT kind, subject, body, version::int AS version FROM notifications.delivery WHERE sku = 'VASE'`,
    });
    expect(rows).toEqual([{ kind: 'stock-low', subject: 'VASE', body: '3/<other>', version: 1 }]);
  });
});
