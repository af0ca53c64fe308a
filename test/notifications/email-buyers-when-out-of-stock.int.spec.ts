import { Logger } from '@nestjs/common';
import type { OutOfStock } from '../../src/allocation/contract/events';
import { MailSender } from '../../src/notifications/messaging/mail-sender';
import { type Mail, Mailer } from '../../src/notifications/messaging/mailer';
import { EmailBuyersWhenOutOfStock } from '../../src/notifications/reactions/email-buyers-when-out-of-stock.reaction';
import type { Database } from '../../src/platform/database/database';
import { freshDatabase, type TestDatabase } from '../support/database';
import { booksMail, deliveries, type Delivery, letPass, letPassUntilDue, outOfStock } from './out-of-stock';

/** Keeps the mails, or refuses them for the moment. */
class Letterbox extends Mailer {
  readonly mails: Mail[] = [];
  open = true;

  async send(mail: Mail): Promise<'sent'> {
    if (!this.open) throw new Error('closed');
    this.mails.push(mail);
    return 'sent';
  }
}

describe('EmailBuyersWhenOutOfStock', () => {
  let test: TestDatabase;
  let database: Database;
  let otherReplica: Database;
  let letterbox: Letterbox;
  let sender: MailSender;
  let announce: jest.Mock;
  let handle: (...events: OutOfStock[]) => Promise<void>;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await freshDatabase();
    database = await test.connect();
    otherReplica = await test.connect();
  });

  afterAll(() => test.drop());

  beforeEach(async () => {
    await database.query({ text: 'TRUNCATE notifications.delivery, notifications.out_of_stock_event' });
    letterbox = new Letterbox();
    sender = new MailSender(database, letterbox);
    announce = jest.fn();
    const reaction = new EmailBuyersWhenOutOfStock(database, booksMail, { announce });
    handle = async (...events) => {
      for (const event of events) await reaction.handle(event);
    };
  });

  const untilSomeoneWaits = async (): Promise<void> => {
    const waiting = {
      text: `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    };
    while ((await otherReplica.query(waiting)).length === 0);
  };

  const sendAll = async (): Promise<string[]> => {
    const before = letterbox.mails.length;
    while ((await sender.sendDue()) > 0);
    return letterbox.mails.slice(before).map(({ body }) => body);
  };

  it('mails the first at once, in the words of the book', async () => {
    await handle(outOfStock('SMALL-TABLE', 'o1'));
    expect(announce).toHaveBeenCalledTimes(1);
    await sendAll();
    expect(letterbox.mails).toEqual([
      expect.objectContaining({
        sender: 'allocations@example.com',
        recipient: 'stock@made.com',
        subject: 'allocation service notification',
        body: 'Out of stock for SMALL-TABLE',
      }),
    ]);
  });

  it('tells from which event a mail comes', async () => {
    const event = outOfStock('LAMP', 'o1');
    await handle(event);
    await sendAll();
    const { stream, version } = event.origin!;
    expect(letterbox.mails).toEqual([expect.objectContaining({ stream, version })]);
    const rows = await database.query({ text: 'SELECT event_id AS id, stream FROM notifications.delivery' });
    expect(rows).toEqual([{ id: event.origin!.id, stream }]);
  });

  it('gives deliveries ids in the order of time', async () => {
    const started = Date.now();
    await handle(outOfStock('LAMP', 'o1'));
    const [{ id }] = (await deliveries(database)) as [Delivery];
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = parseInt(id.replaceAll('-', '').slice(0, 12), 16);
    expect(Math.abs(time - started)).toBeLessThan(5_000);
  });

  it('keeps the orders of the hour for one further mail that says how many they are', async () => {
    await handle(outOfStock('LAMP', 'o1'));
    await sendAll();
    await handle(outOfStock('LAMP', 'o2'), outOfStock('LAMP', 'o3'), outOfStock('LAMP', 'o4'));
    await letPass(database, '59 minutes');
    expect(await sendAll()).toEqual([]);
    await letPass(database, '1 minute');
    expect(await sendAll()).toEqual(['Out of stock for LAMP\n\n3 orders since the last mail.']);
    expect(announce).toHaveBeenCalledTimes(1);
  });

  it('says so when it was a single order', async () => {
    await handle(outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'));
    expect(await sendAll()).toEqual(['Out of stock for LAMP']);
    await letPass(database, '1 hour');
    expect(await sendAll()).toEqual(['Out of stock for LAMP\n\n1 order since the last mail.']);
  });

  it('counts orders, not their lines', async () => {
    await handle(outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'), outOfStock('LAMP', 'o2', '2'));
    await handle(outOfStock('LAMP', 'o3'), outOfStock('LAMP', 'o2', '3'));
    expect(await deliveries(database)).toEqual([
      expect.objectContaining({ digest: false, orders: 1 }),
      expect.objectContaining({ digest: true, orders: 2 }),
    ]);
  });

  it('mails about each SKU on its own', async () => {
    await handle(
      outOfStock('LAMP', 'o1'),
      outOfStock('SOFA', 'o1'),
      outOfStock('LAMP', 'o2'),
      outOfStock('SOFA', 'o2'),
    );
    expect((await sendAll()).sort()).toEqual(['Out of stock for LAMP', 'Out of stock for SOFA']);
    await letPass(database, '1 hour');
    expect(await sendAll()).toHaveLength(2);
  });

  it('never sends two mails about a SKU within an hour, whatever comes when', async () => {
    const mailsPerTenMinutes: number[] = [];
    for (let tenMinutes = 0; tenMinutes < 24; tenMinutes += 1) {
      await handle(outOfStock('LAMP', `a${tenMinutes}`), outOfStock('LAMP', `b${tenMinutes}`));
      mailsPerTenMinutes.push((await sendAll()).length);
      await letPass(database, '10 minutes');
    }
    expect(mailsPerTenMinutes.join('')).toBe('100000'.repeat(4));
    const rows = await deliveries(database);
    expect(rows.reduce((sum, { orders }) => sum + orders, 0)).toBe(48);
    // The first, then those of an hour and of the moment at which it ends: they came before the mail was sent.
    expect(rows.map(({ orders }) => orders)).toEqual([1, 13, 12, 12, 10]);
  });

  it('mails at once again after an hour in which nothing was sent', async () => {
    await handle(outOfStock('LAMP', 'o1'));
    await sendAll();
    await letPass(database, '1 hour');
    await handle(outOfStock('LAMP', 'o2'));
    expect(await sendAll()).toEqual(['Out of stock for LAMP']);
    expect(announce).toHaveBeenCalledTimes(2);
  });

  it('counts the hour from when the mail was sent, not from when it was written', async () => {
    letterbox.open = false;
    await handle(outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'));
    for (let hour = 0; hour < 5; hour += 1) {
      await sendAll();
      await letPass(database, '1 hour');
      await handle(outOfStock('LAMP', `later${hour}`));
    }
    letterbox.open = true;
    expect(await sendAll()).toEqual(['Out of stock for LAMP']);
    await letPass(database, '59 minutes');
    expect(await sendAll()).toEqual([]);
    await letPass(database, '1 minute');
    expect(await sendAll()).toEqual(['Out of stock for LAMP\n\n6 orders since the last mail.']);
  });

  it('adds nothing to a mail that somebody may have received', async () => {
    await handle(outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'));
    await sendAll();
    await letPass(database, '1 hour');
    letterbox.open = false;
    await sendAll();
    await handle(outOfStock('LAMP', 'o3'), outOfStock('LAMP', 'o4'));
    letterbox.open = true;
    await letPassUntilDue(database);
    expect(await sendAll()).toEqual(['Out of stock for LAMP\n\n1 order since the last mail.']);
    await letPass(database, '1 hour');
    expect(await sendAll()).toEqual(['Out of stock for LAMP\n\n2 orders since the last mail.']);
  });

  describe('counts an event once that is delivered', () => {
    it('again', async () => {
      const [first, second, third] = [outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'), outOfStock('LAMP', 'o3')];
      await handle(first, first, second, second, third, second, first);
      expect(await deliveries(database)).toMatchObject([{ orders: 1 }, { orders: 2 }]);
    });

    it('again after its mail was sent', async () => {
      const event = outOfStock('LAMP', 'o1');
      await handle(event);
      await sendAll();
      await letPass(database, '2 hours');
      await handle(event);
      expect(await sendAll()).toEqual([]);
      expect(await deliveries(database)).toHaveLength(1);
    });

    it('late, after those behind it', async () => {
      const [early, late] = [outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2')];
      await handle(late, early);
      expect(await deliveries(database)).toMatchObject([{ orders: 1 }, { orders: 1 }]);
    });

    it('by several replicas at the same moment', async () => {
      const events = Array.from({ length: 10 }, (_, i) => outOfStock('LAMP', `o${i}`));
      const replicas = [database, otherReplica].map((at) => new EmailBuyersWhenOutOfStock(at, booksMail, { announce }));
      await Promise.all([...events, ...events].flatMap((event) => replicas.map((replica) => replica.handle(event))));
      expect(await deliveries(database)).toMatchObject([
        { digest: false, orders: 1 },
        { digest: true, orders: 9, body: 'Out of stock for LAMP\n\n9 orders since the last mail.' },
      ]);
      expect(announce).toHaveBeenCalledTimes(1);
    });
  });

  it('opens another digest when the one it found is just being claimed', async () => {
    await handle(outOfStock('LAMP', 'o1'), outOfStock('LAMP', 'o2'));
    const claiming = await test.client();
    await claiming.query('BEGIN');
    await claiming.query('UPDATE notifications.delivery SET attempts = 1 WHERE digest');
    const handled = handle(outOfStock('LAMP', 'o3'));
    await untilSomeoneWaits();
    await claiming.query('COMMIT');
    await handled;
    expect((await deliveries(database)).map(({ orders }) => orders)).toEqual([1, 1, 1]);
  });

  it('leaves for every event which mail stands for it', async () => {
    const events = ['o1', 'o2', 'o2', 'o3'].map((order, i) => outOfStock('LAMP', order, String(i)));
    await handle(...events);
    const rows = await database.query({
      text: `
        SELECT e.event_id AS event, d.digest, d.orders = (
          SELECT count(DISTINCT order_id) FROM notifications.out_of_stock_event WHERE delivery_id = d.id
        ) AS exact
        FROM notifications.out_of_stock_event AS e JOIN notifications.delivery AS d ON d.id = e.delivery_id
        ORDER BY e.version`,
    });
    expect(rows).toEqual(events.map((event, i) => ({ event: event.origin!.id, digest: i > 0, exact: true })));
  });
});
