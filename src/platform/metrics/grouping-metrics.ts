import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** How units of work group: sizes and outcomes of their transactions, and what waits for the next. */
@Injectable()
export class GroupingMetrics {
  private readonly sizes: Histogram;
  private readonly outcomes: Counter;
  private readonly depths = new Map<string, () => number>();

  constructor(registry: Registry) {
    this.sizes = new Histogram({
      name: 'batchwise_group_size',
      help: 'Commands that shared a transaction.',
      labelNames: ['kind'],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
      registers: [registry],
    });
    this.outcomes = new Counter({
      name: 'batchwise_groups_total',
      help: 'Transactions of grouped commands by outcome: committed, unchanged (there was nothing to store) or failed.',
      labelNames: ['kind', 'outcome'],
      registers: [registry],
    });
    const depths = this.depths;
    new Gauge({
      name: 'batchwise_queue_depth',
      help: 'Commands that wait for a transaction.',
      labelNames: ['kind'],
      registers: [registry],
      collect() {
        for (const [kind, depth] of depths) this.set({ kind }, depth());
      },
    });
  }

  /** A transaction of a group ended. @param kind of its aggregates */
  groupEnded(kind: string, works: number, outcome: 'committed' | 'unchanged' | 'failed'): void {
    this.sizes.observe({ kind }, works);
    this.outcomes.inc({ kind, outcome });
  }

  /** Shows how many works wait, asked whenever the metrics are read. */
  showDepth(kind: string, depth: () => number): void {
    this.depths.set(kind, depth);
  }
}
