import { Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';

/** Where @nestjs/cqrs keeps the command or query of a handler class. */
const handlerMetadata = ['__commandHandler__', '__queryHandler__'] as const;

/** Keeps the application from starting if two handlers share a command or a query: the bus would silently drop one. */
@Injectable()
export class OneHandlerPerMessage implements OnModuleInit {
  constructor(private readonly discovery: DiscoveryService) {}

  /** @throws naming the handlers */
  onModuleInit(): void {
    const handlers = new Map<Type, string>();
    for (const { metatype } of this.discovery.getProviders()) {
      if (typeof metatype !== 'function') continue;
      for (const key of handlerMetadata) {
        const message = Reflect.getMetadata(key, metatype) as Type | undefined;
        if (!message) continue;
        const other = handlers.get(message);
        if (other) throw new Error(`${message.name} has two handlers: ${other} and ${metatype.name}`);
        handlers.set(message, metatype.name);
      }
    }
  }
}
