import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { Database } from '../../platform/database/database';
import { oncePerScrape } from '../../platform/metrics/once-per-scrape';
import { MailSender } from './mail-sender';
import { WebhookSender } from './webhook-sender';

interface Backlog {
  readonly channel: string;
  readonly pending: number;
  readonly dead: number;
  readonly overdue: number;
}

/** What a disabled webhook keeps back is not waited for. */
const backlogOf = (channel: string, table: string, restriction = 'true'): string => `
  SELECT '${channel}' AS channel,
         (SELECT count(*) FROM ${table} AS d WHERE status = 'pending' AND ${restriction})::int AS pending,
         (SELECT count(*) FROM ${table} WHERE status = 'dead')::int AS dead,
         (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(next_attempt_at)), 0) FROM ${table} AS d
          WHERE status = 'pending' AND next_attempt_at <= clock_timestamp() AND ${restriction})::float8 AS overdue`;

const enabled = 'EXISTS (SELECT FROM notifications.webhook AS w WHERE w.id = d.webhook_id AND w.enabled)';

const backlogs = {
  name: 'delivery-backlogs',
  text: `
    ${backlogOf('mail', 'notifications.delivery')}
    UNION ALL ${backlogOf('webhook', 'notifications.webhook_delivery', enabled)}`,
};

interface Endpoints {
  readonly state: string;
  readonly webhooks: number;
}

const endpoints = {
  name: 'webhook-states',
  text: `
    SELECT state, count(w.id)::int AS webhooks
    FROM unnest(ARRAY['closed', 'open', 'half-open', 'disabled']) AS state
    LEFT JOIN notifications.webhook AS w ON state = CASE
      WHEN NOT w.enabled THEN 'disabled' WHEN w.open_until IS NULL THEN 'closed'
      WHEN w.open_until > clock_timestamp() THEN 'open' ELSE 'half-open' END
    GROUP BY state`,
};

/** What became of mails and webhook deliveries, and what waits. */
@Injectable()
export class DeliveryMetrics {
  constructor(registry: Registry, database: Database, mail: MailSender, webhook: WebhookSender) {
    const registers = [registry];
    const senders = Object.entries({ mail, webhook });
    new Counter({
      name: 'batchwise_delivery_attempts_total',
      help: 'Attempts to deliver by outcome: sent, logged or delivered; failed (and tried again); dead.',
      labelNames: ['channel', 'outcome'],
      registers,
      collect() {
        this.reset();
        for (const [channel, { outcomes }] of senders)
          for (const [outcome, n] of outcomes) this.inc({ channel, outcome }, n);
      },
    });
    const backlog = oncePerScrape<Backlog>(database, backlogs);
    const gauge = (name: string, help: string, value: (row: Backlog) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['channel'],
        registers,
        async collect() {
          const rows = await backlog();
          this.reset();
          for (const row of rows) this.set({ channel: row.channel }, value(row));
        },
      });
    gauge('batchwise_deliveries_pending', 'Deliveries that are to be sent, or sent again.', (row) => row.pending);
    gauge('batchwise_deliveries_dead', 'Deliveries that were given up.', (row) => row.dead);
    gauge('batchwise_delivery_overdue_seconds', 'For how long the oldest due delivery waits.', (row) => row.overdue);
    const states = oncePerScrape<Endpoints>(database, endpoints);
    new Gauge({
      name: 'batchwise_webhooks',
      help: 'Webhooks by the state of their circuit: closed (all is well), open, half-open; or disabled.',
      labelNames: ['state'],
      registers,
      async collect() {
        const rows = await states();
        this.reset();
        for (const { state, webhooks } of rows) this.set({ state }, webhooks);
      },
    });
  }
}
