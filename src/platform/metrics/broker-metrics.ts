import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What became of a message. */
export type MessageOutcome = 'received' | 'processed' | 'skipped' | 'invalid';

const help: Readonly<Record<MessageOutcome, string>> = {
  received: 'Messages taken from the broker, those that are delivered again included.',
  processed: 'Messages whose command was executed.',
  skipped: 'Messages that were dealt with before, or gone before they were read.',
  invalid: 'Messages that can never succeed: not understood, or refused.',
};

/** Counts the messages from the broker, by channel or stream. */
@Injectable()
export class BrokerMetrics {
  private readonly counters: Readonly<Record<MessageOutcome, Counter>>;

  constructor(registry: Registry) {
    const counter = (outcome: MessageOutcome): Counter =>
      new Counter({
        name: `batchwise_messages_${outcome}_total`,
        help: help[outcome],
        labelNames: ['source'],
        registers: [registry],
      });
    this.counters = {
      received: counter('received'),
      processed: counter('processed'),
      skipped: counter('skipped'),
      invalid: counter('invalid'),
    };
  }

  count(outcome: MessageOutcome, source: string, messages = 1): void {
    this.counters[outcome].inc({ source }, messages);
  }
}
