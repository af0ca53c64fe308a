import { type DynamicModule, Global, Injectable, Module, type Type } from '@nestjs/common';
import { CommandHandler, CqrsModule, QueryHandler } from '@nestjs/cqrs';
import * as commands from '../../src/allocation/contract/commands';
import * as queries from '../../src/allocation/contract/queries';
import { AllocationsController } from '../../src/allocation/http/allocations.controller';
import { BookController } from '../../src/allocation/http/book.controller';
import { OrdersController } from '../../src/allocation/http/orders.controller';
import { InventoryModule } from '../../src/inventory/inventory.module';
import { Config } from '../../src/platform/config';
import { Database } from '../../src/platform/database/database';
import { PlatformModule } from '../../src/platform/platform.module';

type Message = object;

const unreachable = () => Promise.reject(new Error('There is no database.'));
const query = ({ name }: { name?: string }) => (name === 'api-keys' ? Promise.resolve([]) : unreachable());

/** The handlers are scripted; whoever else asks the database finds no API key, and anything else out of reach. */
@Global()
@Module({
  providers: [{ provide: Database, useValue: { query, connect: unreachable, transaction: unreachable } }],
  exports: [Database],
})
class NoDatabase {}

/** What the handlers behind the edge answer in a test, and what they were asked. */
@Injectable()
export class Script {
  readonly received: Message[] = [];
  readonly #answers = new Map<unknown, (message: never) => unknown>();

  on<T extends Message>(type: new (...parts: never[]) => T, answer: (message: T) => unknown): void {
    this.#answers.set(type, answer);
  }

  async play(message: Message): Promise<unknown> {
    this.received.push(message);
    const answer = this.#answers.get(message.constructor);
    if (answer === undefined) throw new Error(`Nobody said what ${message.constructor.name} answers.`);
    return answer(message as never);
  }
}

function scripted(decorator: ClassDecorator): Type {
  @Injectable()
  class Scripted {
    constructor(private readonly script: Script) {}

    execute(message: Message): Promise<unknown> {
      return this.script.play(message);
    }
  }
  decorator(Scripted);
  return Scripted;
}

const classes = (module: object): Type[] =>
  Object.values(module).filter((member): member is Type => typeof member === 'function');

/** Everything between the wire and the buses as it is in the application, with scripted handlers and no database. */
@Module({})
export class Edge {
  static with(env: NodeJS.ProcessEnv = {}): DynamicModule {
    return {
      module: Edge,
      imports: [
        PlatformModule.forRoot(Config.load({ LOG_LEVEL: 'silent', ...env })),
        CqrsModule.forRoot(),
        NoDatabase,
        InventoryModule,
      ],
      controllers: [AllocationsController, OrdersController, BookController],
      providers: [
        Script,
        ...classes(commands).map((command) => scripted(CommandHandler(command as never))),
        ...classes(queries).map((query) => scripted(QueryHandler(query as never))),
      ],
    };
  }
}
