import { type Mail, MailRejected } from '../../src/notifications/messaging/mailer';
import { SmtpMailer } from '../../src/notifications/messaging/smtp-mailer';
import { CertificateAuthority } from '../support/certificates';
import { listenRaw, MailServer, type Refusals, stopAll } from './mail-server';

const mail: Mail = {
  messageId: '<01890000-0000-7000-8000-000000000001@batchwise>',
  sender: 'allocations@example.com',
  recipient: 'stock@made.com',
  subject: 'allocation service notification',
  body: 'Out of stock for SMALL-TABLE',
  stream: 'product:SMALL-TABLE',
  version: 7,
};
const patient = { connection: 5_000, greeting: 5_000, socket: 5_000 };
const forLong = (): AbortSignal => AbortSignal.timeout(10_000);

/** What sending the mail fails with. */
const failure = async (mailer: SmtpMailer, signal = forLong()): Promise<Error> => {
  const error: unknown = await mailer.send(mail, signal).then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  );
  return error as Error;
};

describe('SmtpMailer', () => {
  let server: MailServer;
  let mailer: SmtpMailer;

  beforeEach(async () => {
    server = await new MailServer().start();
    mailer = new SmtpMailer(server.url, patient);
  });

  afterEach(stopAll);

  it('sends the mail of the book', async () => {
    expect(await mailer.send(mail, forLong())).toBe('sent');
    expect(server.received).toHaveLength(1);
    expect(server.received[0]).toMatchObject({
      from: 'allocations@example.com',
      to: ['stock@made.com'],
      headers: {
        from: 'allocations@example.com',
        to: 'stock@made.com',
        subject: 'allocation service notification',
        'message-id': mail.messageId,
        'auto-submitted': 'auto-generated',
        'x-batchwise-stream': 'product:SMALL-TABLE',
        'x-batchwise-version': '7',
      },
      text: 'Out of stock for SMALL-TABLE',
    });
  });

  it('lets no text become a header or another recipient', async () => {
    const subject = 'Out of stock\r\nBcc: thief@example.com';
    await mailer.send({ ...mail, subject, body: 'a line\n.\nMAIL FROM:<thief@example.com>' }, forLong());
    expect(server.received).toHaveLength(1);
    const [{ to, headers, text }] = server.received as [(typeof server.received)[0]];
    expect({ to, text }).toEqual({ to: ['stock@made.com'], text: 'a line\n.\nMAIL FROM:<thief@example.com>' });
    expect(headers).not.toHaveProperty('bcc');
  });

  it.each<[Refusals, boolean]>([
    [{ recipient: 550 }, true],
    [{ recipient: 450 }, false],
    [{ recipient: 530 }, false],
    [{ text: 554 }, true],
    [{ text: 451 }, false],
  ])('takes %j as final: %s', async (refusals, final) => {
    server.refusals = refusals;
    const error = await failure(mailer);
    expect(error instanceof MailRejected).toBe(final);
    expect(error.message).toContain(`${refusals.recipient ?? refusals.text} not this one`);
    expect(server.received).toEqual([]);
  });

  it('does not take a server that wants no mail at all as final', async () => {
    const unwilling = await listenRaw((socket) => socket.end('554 no mail service here\r\n'));
    const error = await failure(new SmtpMailer(unwilling, patient));
    expect(error).not.toBeInstanceOf(MailRejected);
    expect(error.message).toContain('554 no mail service here');
  });

  describe('hands nothing over', () => {
    const offering = (options: object): Promise<MailServer> => {
      const certified = new CertificateAuthority().certify('127.0.0.1');
      return new MailServer({ ...certified, hideSTARTTLS: false, ...options }).start();
    };

    it.each<[string, object, string]>([
      ['smtps', { secure: true }, 'smtps:'],
      ['STARTTLS', {}, 'smtp:'],
    ])('to a server that nobody vouches for (%s)', async (_, options, protocol) => {
      const unknown = await offering(options);
      const error = await failure(new SmtpMailer(unknown.url.replace('smtp:', protocol), patient));
      expect(error).not.toBeInstanceOf(MailRejected);
      expect(error.message).toMatch(/unable to verify|self-signed/);
      expect(unknown.received).toEqual([]);
    });

    it('in clear, if the URL asks for encryption', async () => {
      const open = await new MailServer({ disabledCommands: ['STARTTLS'] }).start();
      const error = await failure(new SmtpMailer(`${open.url}?requireTLS=true`, patient));
      expect(error).not.toBeInstanceOf(MailRejected);
      expect(error.message).toContain('STARTTLS');
      expect(open.received).toEqual([]);
    });
  });

  describe('gives up on a server', () => {
    it('that is not there', async () => {
      await server.stop();
      expect((await failure(mailer)).message).toContain('ECONNREFUSED');
    });

    it('that never says a word', async () => {
      const tarpit = await listenRaw(() => undefined);
      expect((await failure(new SmtpMailer(tarpit, { ...patient, greeting: 100 }))).message).toContain(
        'Greeting never received',
      );
    });

    it('that falls silent', async () => {
      const tarpit = await listenRaw((socket) => socket.write('220 welcome\r\n'));
      expect((await failure(new SmtpMailer(tarpit, { ...patient, socket: 100 }))).message).toContain('Timeout');
    });

    it('that falls silent after the text', async () => {
      server.refusals = { hang: true };
      expect((await failure(new SmtpMailer(server.url, { ...patient, socket: 100 }))).message).toContain('Timeout');
    });

    it('that goes on and on without coming to an end', async () => {
      const tarpit = await listenRaw((socket) => {
        socket.write('220 welcome\r\n');
        const drip = setInterval(() => socket.write('250-one more\r\n'), 20);
        socket.on('close', () => clearInterval(drip));
      });
      const aborted = await failure(new SmtpMailer(tarpit, patient), AbortSignal.timeout(300));
      expect(aborted.message).toContain('aborted');
    });

    it('that ends the connection after the text, without an answer', async () => {
      server.refusals = { cut: true };
      expect(await failure(mailer)).not.toBeInstanceOf(MailRejected);
      server.refusals = {};
      await mailer.send(mail, forLong());
      expect(server.messageIds).toEqual([mail.messageId, mail.messageId]);
    });
  });

  describe('never tells the password', () => {
    const password = 'pa$$ word/ü';
    const withPassword = (url: string): string =>
      url.replace('smtp://', `smtp://stock%40made.com:${encodeURIComponent(password)}@`);
    const forms = [
      password,
      encodeURIComponent(password),
      Buffer.from(password).toString('base64'),
      Buffer.from(`\0stock@made.com\0${password}`).toString('base64'),
    ];

    it('but uses it', async () => {
      const seen: unknown[] = [];
      const careful = await new MailServer({
        allowInsecureAuth: true,
        onAuth: (auth, _session, done) => {
          seen.push(auth.username, auth.password);
          done(null, { user: auth.username });
        },
      }).start();
      await new SmtpMailer(withPassword(careful.url), patient).send(mail, forLong());
      expect(seen).toEqual(['stock@made.com', password]);
      expect(careful.received).toHaveLength(1);
    });

    it.each(forms)('although the server repeats it: %s', async (form) => {
      const indiscreet = await new MailServer({
        allowInsecureAuth: true,
        onAuth: (_auth, _session, done) =>
          done(Object.assign(new Error(`do not know ${form}, sorry`), { responseCode: 535 })),
      }).start();
      const error = await failure(new SmtpMailer(withPassword(indiscreet.url), patient));
      expect(error).not.toBeInstanceOf(MailRejected);
      expect(error.message).toContain('do not know ***, sorry');
      expect(error.cause).toBeUndefined();
    });
  });
});
