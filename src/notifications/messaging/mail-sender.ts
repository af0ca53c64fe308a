import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database';
import { DeliverySender } from './delivery-sender';
import { DueDeliveries, type DueDelivery } from './due-deliveries';
import { Mailer, MailRejected } from './mailer';

/** Sends the mails that are due. One that is refused for good, or not accepted within a day, is dead. */
@Injectable()
export class MailSender extends DeliverySender<DueDelivery, 'sent' | 'logged'> {
  protected readonly atOnce = 5;

  constructor(
    private readonly database: Database,
    private readonly mailer: Mailer,
  ) {
    super();
  }

  protected claim(limit: number, seconds: number): Promise<DueDelivery[]> {
    return DueDeliveries.claim(this.database, limit, seconds);
  }

  protected handOver(delivery: DueDelivery, signal: AbortSignal): Promise<'sent' | 'logged'> {
    return this.mailer.send(delivery, signal);
  }

  protected async accepted(delivery: DueDelivery, as: 'sent' | 'logged'): Promise<string> {
    await DueDeliveries.close(this.database, delivery, as);
    return as;
  }

  protected failed(delivery: DueDelivery, error: unknown, reason: string): Promise<boolean> {
    return error instanceof MailRejected
      ? DueDeliveries.close(this.database, delivery, 'dead', reason)
      : DueDeliveries.postpone(this.database, delivery, reason);
  }

  protected nameOf({ messageId, recipient }: DueDelivery): string {
    return `mail ${messageId} to ${recipient}`;
  }
}
