import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';

/** Something that works on its own beside the requests. A provider of a module that extends it is started with the service. */
export abstract class Worker {
  /** Begins. Not before the application is up: workers may send commands. */
  abstract start(): void;

  /** Ends what it is at, in a bounded time. Called by the worker's own shutdown hook. */
  abstract stop(): Promise<void>;
}

/** The workers of all modules. */
@Injectable()
export class Workers {
  constructor(private readonly discovery: DiscoveryService) {}

  start(): void {
    const instances = this.discovery.getProviders().map(({ instance }) => instance as unknown);
    for (const instance of new Set(instances)) if (instance instanceof Worker) instance.start();
  }
}
