import { Module } from '@nestjs/common';
import { Config } from '../platform/config';
import { Migrations } from '../platform/database/migrate';
import { DeliverySignal } from './domain/delivery-signal';
import { OutOfStockMail } from './domain/out-of-stock-mail';
import { LoggingMailer } from './messaging/logging-mailer';
import { MailSender } from './messaging/mail-sender';
import { Mailer } from './messaging/mailer';
import { SmtpMailer } from './messaging/smtp-mailer';
import { invariants } from './persistence/invariants';
import { Deliveries1763900000100 } from './persistence/migrations/1763900000100-deliveries';
import { EmailBuyersWhenOutOfStock } from './reactions/email-buyers-when-out-of-stock.reaction';

/** Who must hear of it: mail to the buyers. */
@Module({
  providers: [
    EmailBuyersWhenOutOfStock,
    MailSender,
    ...invariants,
    { provide: DeliverySignal, useExisting: MailSender },
    {
      provide: Mailer,
      inject: [Config],
      useFactory: ({ smtpUrl }: Config): Mailer => (smtpUrl ? new SmtpMailer(smtpUrl) : new LoggingMailer()),
    },
    {
      provide: OutOfStockMail,
      inject: [Config],
      useFactory: ({ mailFrom, mailTo, mailSubject, mailText }: Config) =>
        new OutOfStockMail({ sender: mailFrom, recipient: mailTo, subject: mailSubject, body: mailText }),
    },
  ],
})
@Migrations(Deliveries1763900000100)
export class NotificationsModule {}
