import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { inSpan, isTraced } from './spans';

/** Gives every command and every query a span, if spans are collected. */
@Injectable()
export class MessageSpans implements OnApplicationBootstrap {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  onApplicationBootstrap(): void {
    if (!isTraced()) return;
    this.wrap('command', this.commands);
    this.wrap('query', this.queries);
  }

  private wrap(kind: string, bus: { execute(message: object, ...rest: never[]): Promise<unknown> }): void {
    const execute = bus.execute.bind(bus);
    bus.execute = (message, ...rest) =>
      inSpan(
        () => ({ name: `${kind} ${message.constructor.name}` }),
        () => execute(message, ...rest),
      );
  }
}
