import { Injectable } from '@nestjs/common';
import { Gauge, Registry } from 'prom-client';
import { Outstanding } from '../outstanding';

/** The requests that are being answered, and whether the service still wants more of them. */
@Injectable()
export class Traffic {
  readonly requests = new Outstanding();
  #leaving = false;

  constructor(registry: Registry) {
    const { requests } = this;
    new Gauge({
      name: 'batchwise_requests_running',
      help: 'Requests that are being read or answered.',
      registers: [registry],
      collect() {
        this.set(requests.count);
      },
    });
  }

  /** True from the moment that the service was told to stop. */
  get leaving(): boolean {
    return this.#leaving;
  }

  leave(): void {
    this.#leaving = true;
  }
}
