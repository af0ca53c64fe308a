/** A mail as it is handed over. */
export interface Mail {
  /** The same whenever the mail is sent again. */
  readonly messageId: string;
  readonly sender: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  /** The event it comes from: mails promise no order. */
  readonly stream: string;
  readonly version: number;
}

/** The mail will never be accepted as it is. */
export class MailRejected extends Error {}

/** Hands mails over to whoever brings them to their readers. */
export abstract class Mailer {
  /**
   * @param signal gives up, when it is aborted; what became of the mail is not known then
   * @returns how it is to be recorded
   * @throws MailRejected; any other error: it may or may not have been accepted, and is to be sent again
   */
  abstract send(mail: Mail, signal: AbortSignal): Promise<'sent' | 'logged'>;
}
