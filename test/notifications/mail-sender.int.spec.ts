import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { MailSender } from '../../src/notifications/messaging/mail-sender';
import { type Mail, Mailer, MailRejected } from '../../src/notifications/messaging/mailer';
import { mailRetries, pauseAfter } from '../../src/notifications/messaging/retry';
import { SmtpMailer } from '../../src/notifications/messaging/smtp-mailer';
import { EmailBuyersWhenOutOfStock } from '../../src/notifications/reactions/email-buyers-when-out-of-stock.reaction';
import { Database } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import { StructuredLogger } from '../../src/platform/logging/structured-logger';
import { AppModule } from '../../src/app.module';
import { Config } from '../../src/platform/config';
import { startApp } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { listenRaw, MailServer, stopAll } from './mail-server';
import { booksMail, deliveries, letPass, letPassUntilDue, outOfStock } from './out-of-stock';

/** A mailer that does something once a mail has been accepted. */
class WithSequel extends Mailer {
  constructor(
    private readonly mailer: Mailer,
    private readonly sequel: () => Promise<unknown>,
  ) {
    super();
  }

  async send(mail: Mail, signal: AbortSignal): Promise<'sent' | 'logged'> {
    const outcome = await this.mailer.send(mail, signal);
    await this.sequel();
    return outcome;
  }
}

/** A mailer that goes on listening to the signals of its mails. */
class Attentive extends Mailer {
  readonly signals: WeakRef<AbortSignal>[] = [];

  send(_mail: Mail, signal: AbortSignal): Promise<'sent'> {
    signal.addEventListener('abort', () => undefined);
    this.signals.push(new WeakRef(signal));
    return Promise.resolve('sent');
  }
}

/** A mailer whose mails take as long as a test wants. */
class Slow extends Mailer {
  readonly begun: Promise<void>;
  finish: () => void = () => undefined;
  fail: (error: Error) => void = () => undefined;
  private begin: () => void = () => undefined;

  constructor() {
    super();
    this.begun = new Promise((resolve) => (this.begin = resolve));
  }

  async send(_mail: Mail, signal: AbortSignal): Promise<'sent'> {
    this.begin();
    await new Promise<void>((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
      signal.addEventListener('abort', () => reject(new Error('aborted')));
    });
    return 'sent';
  }
}

describe('MailSender', () => {
  let test: TestDatabase;
  let database: Database;
  let server: MailServer;
  let sender: MailSender;
  const logged = { warn: jest.fn(), error: jest.fn(), log: jest.fn() };

  beforeAll(async () => {
    Logger.overrideLogger(logged);
    test = await freshDatabase();
    database = await test.connect();
  });

  afterAll(() => test.drop());

  beforeEach(async () => {
    await database.query({ text: 'TRUNCATE notifications.delivery, notifications.out_of_stock_event' });
    server = await new MailServer().start();
    sender = new MailSender(database, new SmtpMailer(server.url));
    for (const mock of Object.values(logged)) mock.mockClear();
  });

  afterEach(stopAll);

  const runOut = async (...skus: string[]): Promise<void> => {
    const reaction = new EmailBuyersWhenOutOfStock(database, booksMail, sender);
    await Promise.all(skus.map((sku) => reaction.handle(outOfStock(sku, 'o1'))));
  };
  const only = async () => {
    const rows = await deliveries(database);
    expect(rows).toHaveLength(1);
    return rows[0]!;
  };

  it('sends what is due and remembers it', async () => {
    await runOut('LAMP');
    expect(await sender.sendDue()).toBe(1);
    expect(await sender.sendDue()).toBe(0);
    const { id, ...delivery } = await only();
    expect(delivery).toMatchObject({ status: 'sent', attempts: 1, error: null, messageId: `<${id}@batchwise>` });
    expect(server.messageIds).toEqual([`<${id}@batchwise>`]);
    expect(server.received[0]!.text).toBe('Out of stock for LAMP');
  });

  it.each([{ recipient: 450 }, { text: 451 }])('tries again later when the server says %j', async (refusals) => {
    server.refusals = refusals;
    await runOut('LAMP');
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'pending', attempts: 1 });
    expect((await only()).error).toContain('not this one');
    expect(logged.warn).toHaveBeenCalledTimes(1);

    server.refusals = {};
    expect(await sender.sendDue()).toBe(0);
    await letPassUntilDue(database);
    expect(await sender.sendDue()).toBe(1);
    expect(await only()).toMatchObject({ status: 'sent', attempts: 2 });
    expect(server.received).toHaveLength(1);
  });

  it.each([{ recipient: 550 }, { text: 554 }])('gives up at once when the server says %j', async (refusals) => {
    server.refusals = refusals;
    await runOut('LAMP');
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'dead', attempts: 1 });
    expect((await only()).error).toContain('not this one');
    expect(logged.error).toHaveBeenCalledTimes(1);
    await letPass(database, '1 day');
    expect(await sender.sendDue()).toBe(0);
  });

  it('tries for a day, less and less often, and then gives up', async () => {
    server.refusals = { recipient: 421 };
    await runOut('LAMP');
    const sinceFirst = {
      text: 'SELECT extract(epoch FROM clock_timestamp() - first_attempt_at)::float8 AS s FROM notifications.delivery',
    };
    const times: number[] = [];
    while ((await sender.sendDue()) > 0) {
      const [{ s }] = (await database.query<{ s: number }>(sinceFirst)) as [{ s: number }];
      times.push(s);
      if ((await only()).status === 'pending') await letPassUntilDue(database);
    }
    expect(await only()).toMatchObject({ status: 'dead', attempts: times.length });
    expect(times.length).toBeGreaterThanOrEqual(15);
    expect(times.length).toBeLessThanOrEqual(20);
    expect(times[1]).toBeLessThan(8);
    expect(Math.round(times.at(-1)! / 60)).toBe(24 * 60);
    expect(logged.error).toHaveBeenCalledTimes(1);
  });

  it('waits twice as long each time, four hours at most, a fifth more or less', () => {
    const middle = [1, 2, 3, 4, 5].map((attempts) => pauseAfter(mailRetries, attempts, 0.5));
    expect(middle).toEqual([5, 10, 20, 40, 80]);
    expect(pauseAfter(mailRetries, 1, 0)).toBeCloseTo(4);
    expect(pauseAfter(mailRetries, 1, 1)).toBeCloseTo(6);
    expect(pauseAfter(mailRetries, 100, 0.5)).toBe(4 * 3_600);
  });

  it('sends the same Message-ID again when it cannot know whether a mail was accepted', async () => {
    server.refusals = { cut: true };
    await runOut('LAMP');
    await sender.sendDue();
    expect(await only()).toMatchObject({ status: 'pending', attempts: 1 });
    server.refusals = {};
    await letPassUntilDue(database);
    await sender.sendDue();
    const { messageId, status } = await only();
    expect(status).toBe('sent');
    expect(server.messageIds).toEqual([messageId, messageId]);
  });

  it('finds a server again that was restarted', async () => {
    await server.stop();
    await runOut('LAMP', 'SOFA');
    expect(await sender.sendDue()).toBe(2);
    await server.start();
    await letPass(database, '6 seconds');
    expect(await sender.sendDue()).toBe(2);
    expect(server.received.map(({ text }) => text).sort()).toEqual(['Out of stock for LAMP', 'Out of stock for SOFA']);
  });

  it('does not wait for a server that never answers', async () => {
    const tarpit = await listenRaw((socket) => socket.write('220 welcome\r\n'));
    const stuck = new MailSender(database, new SmtpMailer(tarpit));
    stuck.limits.attempt = 100;
    await runOut('LAMP');
    await stuck.sendDue();
    expect(await only()).toMatchObject({
      status: 'pending',
      attempts: 1,
      error: 'it took longer than 0.1 s',
    });
  });

  it('keeps nothing in memory of a mail that was sent', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const mailer = new Attentive();
    const attentive = new MailSender(database, mailer);
    await runOut('LAMP', 'SOFA');
    await attentive.sendDue();
    await until(() => {
      collectGarbage();
      return mailer.signals.every((signal) => signal.deref() === undefined);
    });
    expect(mailer.signals).toHaveLength(2);
    await attentive.stop();
  });

  it('shares the work with other replicas, each mail sent once', async () => {
    await runOut(...Array.from({ length: 40 }, (_, i) => `SKU-${i}`));
    const others = await Promise.all([test.connect(), test.connect()]);
    const senders = [sender, ...others.map((other) => new MailSender(other, new SmtpMailer(server.url)))];
    const shares = await Promise.all(
      senders.map(async (one) => {
        let share = 0;
        for (let sent = await one.sendDue(); sent > 0; sent = await one.sendDue()) share += sent;
        return share;
      }),
    );
    expect(shares.reduce((sum, share) => sum + share)).toBe(40);
    expect(shares.every((share) => share > 0)).toBe(true);
    expect(new Set(server.messageIds).size).toBe(40);
    expect(server.received).toHaveLength(40);
  });

  it('sends a mail again, with the same Message-ID, whose sender died before it could say that it was sent', async () => {
    const connections = await new DataSource(dataSourceOptions(test.url)).initialize();
    const dying = new WithSequel(new SmtpMailer(server.url), () => connections.destroy());
    await runOut('LAMP');
    await expect(new MailSender(new Database(connections), dying).sendDue()).rejects.toThrow();
    expect(await only()).toMatchObject({ status: 'pending', attempts: 1 });

    expect(await sender.sendDue()).toBe(0);
    await letPass(database, '2 minutes');
    expect(await sender.sendDue()).toBe(1);
    const { messageId, ...delivery } = await only();
    expect(delivery).toMatchObject({ status: 'sent', attempts: 2 });
    expect(server.messageIds).toEqual([messageId, messageId]);
  });

  it('passes by what another replica is about to claim', async () => {
    await runOut('LAMP');
    const other = await test.client();
    await other.query('BEGIN');
    await other.query('UPDATE notifications.delivery SET attempts = 1');
    expect(await sender.sendDue()).toBe(0);
    await other.query('ROLLBACK');
    expect(await sender.sendDue()).toBe(1);
  });

  describe('that was so slow that another one sent its mail', () => {
    let slow: Slow;
    let late: Promise<number>;

    beforeEach(async () => {
      slow = new Slow();
      await runOut('LAMP');
      late = new MailSender(database, slow).sendDue();
      await slow.begun;
      await letPass(database, '2 minutes');
    });

    it.each<[string, () => void]>([
      ['it is accepted', () => slow.finish()],
      ['it is rejected', () => slow.fail(new MailRejected('no'))],
      ['it fails', () => slow.fail(new Error('not now'))],
    ])('changes nothing when %s', async (_, end) => {
      expect(await sender.sendDue()).toBe(1);
      end();
      await late;
      expect(await only()).toMatchObject({ status: 'sent', attempts: 2, error: null });
      expect(logged.error).not.toHaveBeenCalled();
    });

    it('leaves it to the other one when it fails first', async () => {
      const second = new Slow();
      const other = new MailSender(database, second).sendDue();
      await second.begun;
      slow.fail(new Error('not now'));
      await late;
      await letPassUntilDue(database);
      expect(await sender.sendDue()).toBe(0);
      second.finish();
      await other;
      expect(await only()).toMatchObject({ status: 'sent', attempts: 2, error: null });
    });
  });

  describe('once started', () => {
    it('sends at once what is announced in its own process', async () => {
      const { promise, resolve } = withResolvers<void>();
      const watched = new MailSender(database, new WithSequel(new SmtpMailer(server.url), async () => resolve()));
      watched.limits.look = 60_000;
      watched.start();
      await new EmailBuyersWhenOutOfStock(database, booksMail, watched).handle(outOfStock('LAMP', 'o1'));
      await promise;
      await watched.stop();
      expect(await only()).toMatchObject({ status: 'sent' });
    });

    it('finds what other processes wrote', async () => {
      const { promise, resolve } = withResolvers<void>();
      const watched = new MailSender(database, new WithSequel(new SmtpMailer(server.url), async () => resolve()));
      watched.limits.look = 20;
      watched.start();
      await runOut('LAMP');
      await promise;
      await watched.stop();
      expect(await only()).toMatchObject({ status: 'sent' });
    });

    it('finishes the mail under way when it is stopped, and begins no other', async () => {
      const slow = new Slow();
      const stopped = new MailSender(database, slow);
      await runOut('LAMP');
      stopped.start();
      await slow.begun;
      await runOut('SOFA');
      const end = stopped.stop();
      slow.finish();
      await end;
      expect(await deliveries(database)).toMatchObject([
        { sku: 'LAMP', status: 'sent' },
        { sku: 'SOFA', status: 'pending', attempts: 0 },
      ]);
    });

    it('cuts a mail off that keeps it from stopping', async () => {
      const slow = new Slow();
      const stopped = new MailSender(database, slow);
      stopped.limits.stop = 50;
      await runOut('LAMP');
      stopped.start();
      await slow.begun;
      await stopped.stop();
      expect(await only()).toMatchObject({ status: 'pending', attempts: 1, error: 'the service stopped' });
    });

    it('goes on after the database was away', async () => {
      const { promise, resolve } = withResolvers<void>();
      const watched = new MailSender(database, new WithSequel(new SmtpMailer(server.url), async () => resolve()));
      watched.limits.look = 20;
      const query = jest.spyOn(database, 'query').mockRejectedValueOnce(new Error('the database is away'));
      watched.start();
      await runOut('LAMP');
      await promise;
      await watched.stop();
      query.mockRestore();
      expect(logged.warn).toHaveBeenCalledWith(expect.stringContaining('the database is away'), 'MailSender');
      expect(await only()).toMatchObject({ status: 'sent' });
    });
  });

  describe('in the whole service', () => {
    /** The service with its log lines; `line` waits for one that has a word in it. */
    const service = async (env: NodeJS.ProcessEnv) => {
      const lines: string[] = [];
      let look = (): void => undefined;
      const write = (line: string): void => {
        lines.push(line);
        look();
      };
      const logger = new StructuredLogger({ logLevel: 'trace', logFormat: 'json' }, { write });
      const app = await startApp(AppModule.forRoot(Config.load(env).withDatabase(test.url)), logger);
      Logger.overrideLogger(logger);
      return {
        app,
        lines,
        line: (word: string) =>
          new Promise<string>((resolve) => {
            look = () => {
              const found = lines.find((line) => line.includes(word));
              if (found) resolve(found);
            };
            look();
          }),
      };
    };

    it('writes each mail as one line into the log where no mail server is named', async () => {
      const { app, lines, line } = await service({});
      app.get(MailSender).start();
      await app.get(EmailBuyersWhenOutOfStock).handle(outOfStock('LAMP', 'o1'));
      expect(JSON.parse(await line('Out of stock'))).toMatchObject({
        level: 30,
        msg: 'mail to stock@made.com: "Out of stock for LAMP"',
        from: 'allocations@example.com',
        subject: 'allocation service notification',
      });
      await app.close();
      expect(await only()).toMatchObject({ status: 'logged', attempts: 1, error: null });
      expect(lines.filter((one) => one.includes('Out of stock'))).toHaveLength(1);
    });

    it('sends what the operator wants to whom the operator wants, and never tells the password', async () => {
      const refusing = await new MailServer({
        allowInsecureAuth: true,
        onAuth: ({ password }, _session, done) =>
          done(Object.assign(new Error(`no: ${password}`), { responseCode: 535 })),
      }).start();
      const { app, lines, line } = await service({
        SMTP_URL: refusing.url.replace('//', '//stock:s3cret@'),
        MAIL_FROM: 'shop@example.org',
        MAIL_TO: 'buyers@example.org',
        MAIL_SUBJECT: 'No more <sku>',
        MAIL_TEXT: 'Please buy <sku>: <sku> is out of stock.',
      });
      app.get(MailSender).start();
      await app.get(EmailBuyersWhenOutOfStock).handle(outOfStock('LAMP', 'o1'));
      await line('failed');
      await app.close();
      expect((await only()).error).toContain('535 no: ***');
      expect(lines.join('')).not.toContain('s3cret');
      expect(lines.join('')).not.toContain(Buffer.from('s3cret').toString('base64'));

      await letPassUntilDue(database);
      await sender.sendDue();
      expect(server.received).toMatchObject([
        {
          from: 'shop@example.org',
          to: ['buyers@example.org'],
          headers: { subject: 'No more LAMP' },
          text: 'Please buy LAMP: LAMP is out of stock.',
        },
      ]);
    });
  });
});

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((given) => (resolve = given));
  return { promise, resolve };
}
