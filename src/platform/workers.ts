import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { providersOf } from './providers';

/** Something that works on its own beside the requests. A provider of a module that extends it is started with the service. */
export abstract class Worker implements BeforeApplicationShutdown {
  /** Begins. Not before the application is up: workers may send commands. */
  abstract start(): void;

  /** Ends what it is at, in a bounded time. May be called more than once. */
  abstract stop(): Promise<void>;

  /** Where the application ends without having stopped its workers. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }
}

/** The workers of all modules. */
@Injectable()
export class Workers {
  constructor(private readonly discovery: DiscoveryService) {}

  start(): void {
    for (const worker of providersOf(this.discovery, Worker)) worker.start();
  }

  async stop(): Promise<void> {
    await Promise.all(providersOf(this.discovery, Worker).map((worker) => worker.stop()));
  }
}
