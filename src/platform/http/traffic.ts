import { Injectable } from '@nestjs/common';
import { Gauge, Histogram, Registry } from 'prom-client';
import { Outstanding } from '../outstanding';

/** Kinds of answers by the first digit of their status; the first is for a client that has left before there was one. */
const kinds = ['aborted', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** The requests that are being answered, and whether the service still wants more of them. */
@Injectable()
export class Traffic {
  readonly requests = new Outstanding();
  readonly #leave = new AbortController();
  readonly #answered: readonly { observe(seconds: number): void }[];

  constructor(registry: Registry) {
    const { requests } = this;
    const seconds = new Histogram({
      name: 'batchwise_request_seconds',
      help: 'Requests by the kind of their answer, and how long they took.',
      labelNames: ['status'],
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
      registers: [registry],
    });
    for (const status of kinds) seconds.zero({ status });
    this.#answered = kinds.map((status) => seconds.labels({ status }));
    new Gauge({
      name: 'batchwise_requests_running',
      help: 'Requests that are being read or answered.',
      registers: [registry],
      collect() {
        this.set(requests.count);
      },
    });
  }

  /** @param status of the answer; 0: there was none */
  answered(status: number, milliseconds: number): void {
    this.#answered[Math.floor(status / 100)]?.observe(milliseconds / 1_000);
  }

  /** True from the moment that the service was told to stop. */
  get leaving(): boolean {
    return this.#leave.signal.aborted;
  }

  /** Aborted at that moment, for those who would go on for long. */
  get left(): AbortSignal {
    return this.#leave.signal;
  }

  leave(): void {
    this.#leave.abort();
  }
}
