import { OutOfStockMail } from '../../src/notifications/domain/out-of-stock-mail';
import { Config, InvalidConfig } from '../../src/platform/config';

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    Config.load(env);
  } catch (error) {
    if (error instanceof InvalidConfig) return error.problems;
    throw error;
  }
  return [];
};

describe('The configuration of mail', () => {
  it('is the book’s where nothing is said', () => {
    expect(Config.load({})).toMatchObject({
      smtpUrl: undefined,
      mailFrom: 'allocations@example.com',
      mailTo: 'stock@made.com',
      mailSubject: 'allocation service notification',
      mailText: 'Out of stock for <sku>',
    });
  });

  it.each(['smtp://mail.example.com', 'smtps://user:secret@mail.example.com:465?tls.servername=mx'])(
    'takes %s',
    (url) => {
      expect(Config.load({ SMTP_URL: url }).smtpUrl).toBe(url);
    },
  );

  it.each(['http://user:secret@mail', 'mail.example.com:25/secret', 'smtp://', 'smtp:secret'])(
    'refuses %s, untold',
    (url) => {
      const [problem] = problemsOf({ SMTP_URL: url });
      expect(problem).toContain('SMTP_URL');
      expect(problem).not.toContain('secret');
    },
  );

  it.each(['stock', 'a@b, c@d', 'Stock <stock@made.com>', 'a@b@c', 'a@b\nBcc: c@d'])(
    'refuses to mail to %j',
    (MAIL_TO) => {
      expect(problemsOf({ MAIL_TO })).toHaveLength(1);
      expect(problemsOf({ MAIL_FROM: MAIL_TO })).toHaveLength(1);
    },
  );

  it('refuses a subject of two lines', () => {
    expect(problemsOf({ MAIL_SUBJECT: 'one\ntwo' })).toHaveLength(1);
  });
});

describe('OutOfStockMail', () => {
  const mail = new OutOfStockMail({ sender: 'a@b', recipient: 'c@d', subject: '<sku>!', body: '<sku> is out: <sku>' });

  it('puts the SKU wherever it is to stand, as it is', () => {
    expect(mail.first('A$&B')).toEqual({
      sender: 'a@b',
      recipient: 'c@d',
      subject: 'A$&B!',
      body: 'A$&B is out: A$&B',
    });
  });

  it('says for how many orders it stands', () => {
    expect(mail.digest('LAMP', 1).body).toBe('LAMP is out: LAMP\n\n1 order since the last mail.');
    expect(mail.digest('LAMP', 12).body).toBe('LAMP is out: LAMP\n\n12 orders since the last mail.');
  });
});
