import { Module } from '@nestjs/common';
import { Config } from '../platform/config';
import { Database } from '../platform/database/database';
import { Migrations, PlacesInLog } from '../platform/database/migrate';
import { DeliveriesCommand } from './cli/deliveries.command';
import { WebhooksCommand } from './cli/webhooks.command';
import { DeliveryArchive } from './domain/delivery-archive';
import { DeliverySignal } from './domain/delivery-signal';
import { OutOfStockMail } from './domain/out-of-stock-mail';
import { StockLowMail } from './domain/stock-low-mail';
import { WebhookDestinations } from './domain/webhook-destinations';
import { WebhookRegistry } from './domain/webhook-registry';
import { ChangeWebhookHandler } from './handlers/change-webhook.handler';
import { RedeliverHandler } from './handlers/redeliver.handler';
import { RegisterWebhookHandler } from './handlers/register-webhook.handler';
import { RemoveWebhookHandler } from './handlers/remove-webhook.handler';
import { RotateWebhookSecretHandler } from './handlers/rotate-webhook-secret.handler';
import { DeliveriesController } from './http/deliveries.controller';
import { WebhooksController } from './http/webhooks.controller';
import { DeliveryMetrics } from './messaging/delivery-metrics';
import { Destinations } from './messaging/destinations';
import { ForgetOldDeliveries } from './messaging/forget-old-deliveries';
import { LoggingMailer } from './messaging/logging-mailer';
import { MailSender } from './messaging/mail-sender';
import { Mailer } from './messaging/mailer';
import { SmtpMailer } from './messaging/smtp-mailer';
import { WebhookChannels } from './messaging/webhook.channels';
import { WebhookSender } from './messaging/webhook-sender';
import { WebhooksPublisher } from './messaging/webhooks.publisher';
import { invariants } from './persistence/invariants';
import { Deliveries1763900000100 } from './persistence/migrations/1763900000100-deliveries';
import { StockLowMail1764100000201 } from './persistence/migrations/1764100000201-stock-low-mail';
import { Webhooks1764100000300 } from './persistence/migrations/1764100000300-webhooks';
import { DeliveriesKept1764100000700 } from './persistence/migrations/1764100000700-deliveries-kept';
import { StoredDeliveries } from './persistence/stored-deliveries';
import { StoredWebhooks } from './persistence/stored-webhooks';
import { webhookInvariants } from './persistence/webhook-invariants';
import { ListDeliveriesHandler, ListWebhookDeliveriesHandler } from './queries/deliveries.query';
import { GetWebhookHandler, ListWebhooksHandler } from './queries/webhooks.query';
import { EmailBuyersWhenOutOfStock } from './reactions/email-buyers-when-out-of-stock.reaction';
import { EmailBuyersWhenStockIsLow } from './reactions/email-buyers-when-stock-is-low.reaction';

/** Who must hear of it: mail to the buyers, webhooks for everyone else's programs. */
@Module({
  controllers: [DeliveriesController, WebhooksController],
  providers: [
    EmailBuyersWhenOutOfStock,
    EmailBuyersWhenStockIsLow,
    MailSender,
    ...invariants,
    ChangeWebhookHandler,
    DeliveriesCommand,
    DeliveryMetrics,
    GetWebhookHandler,
    ListDeliveriesHandler,
    ListWebhookDeliveriesHandler,
    ListWebhooksHandler,
    RedeliverHandler,
    RegisterWebhookHandler,
    RemoveWebhookHandler,
    RotateWebhookSecretHandler,
    WebhookChannels,
    WebhooksCommand,
    WebhookSender,
    WebhooksPublisher,
    ...webhookInvariants,
    { provide: DeliveryArchive, useClass: StoredDeliveries },
    { provide: WebhookRegistry, useClass: StoredWebhooks },
    { provide: WebhookDestinations, useExisting: Destinations },
    {
      provide: Destinations,
      inject: [Config],
      useFactory: ({ webhookAllow }: Config) => new Destinations(webhookAllow),
    },
    { provide: DeliverySignal, useExisting: MailSender },
    {
      provide: ForgetOldDeliveries,
      inject: [Database, Config],
      useFactory: (database: Database, { deliveriesKeptDays }: Config) =>
        new ForgetOldDeliveries(database, deliveriesKeptDays),
    },
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
    {
      provide: StockLowMail,
      inject: [Config],
      useFactory: ({ mailFrom, mailTo, stockLowMailSubject, stockLowMailText }: Config) =>
        new StockLowMail({ sender: mailFrom, recipient: mailTo, subject: stockLowMailSubject, body: stockLowMailText }),
    },
  ],
})
@Migrations(Deliveries1763900000100, StockLowMail1764100000201, Webhooks1764100000300, DeliveriesKept1764100000700)
@PlacesInLog('notifications.webhook_subscription', 'notifications.horizon')
export class NotificationsModule {}
