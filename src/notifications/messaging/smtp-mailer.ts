import { createTransport } from 'nodemailer';
import { type Mail, Mailer, MailRejected } from './mailer';

/** Milliseconds that the steps may take. */
export interface SmtpTimeouts {
  /** To look the server up and to connect to it. */
  readonly connection: number;
  /** Until it says its name. */
  readonly greeting: number;
  /** Between any two signs of life: checking a mail for spam may take a while after the last byte of it. */
  readonly socket: number;
}

const patient: SmtpTimeouts = { connection: 10_000, greeting: 15_000, socket: 60_000 };

/** Sends mails over SMTP, one connection each. Parameters of the URL go to nodemailer: `?requireTLS=true`. */
export class SmtpMailer extends Mailer {
  private readonly transport;
  private readonly secrets: readonly string[];

  /** @param url smtp:// (STARTTLS where the server offers it) or smtps:// */
  constructor(url: string, { connection, greeting, socket }: SmtpTimeouts = patient) {
    super();
    this.transport = createTransport({
      url,
      connectionTimeout: connection,
      dnsTimeout: connection,
      greetingTimeout: greeting,
      socketTimeout: socket,
    });
    const { user = '', pass = '' } = this.transport.options.auth ?? {};
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const secrets = [pass, new URL(url).password, base64(pass), base64(`\0${user}\0${pass}`)];
    this.secrets = pass === '' ? [] : secrets.sort((a, b) => b.length - a.length);
  }

  async send(mail: Mail, signal: AbortSignal): Promise<'sent'> {
    const { sender, recipient, subject, body, messageId, stream, version } = mail;
    try {
      await this.transport.sendMail({
        from: sender,
        to: recipient,
        subject,
        text: body,
        messageId,
        headers: {
          'Auto-Submitted': 'auto-generated',
          'X-Batchwise-Stream': stream,
          'X-Batchwise-Version': String(version),
        },
        signal,
      });
      return 'sent';
    } catch (error) {
      const reason = this.withoutSecrets(error instanceof Error ? error.message : String(error));
      throw isRejection(error) ? new MailRejected(reason) : new Error(reason);
    }
  }

  /** A server may repeat in its answer what it was sent. */
  private withoutSecrets(text: string): string {
    return this.secrets.reduce((cleared, secret) => cleared.replaceAll(secret, '***'), text);
  }
}

/** Asks for a log-in, or for encryption. */
const loginRequired = 530;

/** Whether the server refused the sender, the recipient or the text for good. What ails the connection may be put right. */
function isRejection(error: unknown): boolean {
  const { code, permanent, responseCode } = error as { code?: unknown; permanent?: unknown; responseCode?: unknown };
  return permanent === true && (code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode !== loginRequired;
}
