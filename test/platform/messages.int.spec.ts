import { Injectable, Logger, Module, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { CommandHandler, CqrsModule, EventBus, EventsHandler, QueryHandler } from '@nestjs/cqrs';
import { AppModule } from '../../src/app.module';
import { Config } from '../../src/platform/config';
import { Relay } from '../../src/platform/event-log/relay';
import { Publisher, Reaction } from '../../src/platform/event-log/subscriber';
import { startApp, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { Happened } from '../support/relay-world';

class DoIt {}
class AskIt {}

@CommandHandler(DoIt)
class DoItHandler {
  async execute(): Promise<void> {}
}

@CommandHandler(DoIt)
class DoItOtherwiseHandler {
  async execute(): Promise<void> {}
}

@QueryHandler(AskIt)
class AskItHandler {
  async execute(): Promise<void> {}
}

@QueryHandler(AskIt)
class AskItOtherwiseHandler {
  async execute(): Promise<void> {}
}

@EventsHandler(Happened)
@Reaction({ name: 'taken', afterLastAttempt: 'skip' })
class ReactsToIt {
  handle(): void {}
}

@Injectable()
class PublishesIt extends Publisher {
  readonly name = 'taken';
  async publish(): Promise<void> {}
}

@EventsHandler(Happened)
class HasNoName {
  handle(): void {}
}

abstract class Alias {}

describe('The message buses', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication | undefined;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    database = await freshDatabase();
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });
  afterAll(() => database.drop());

  /** The service with one module more. */
  const boot = async (...providers: (Type | { provide: Type; useExisting: Type })[]): Promise<void> => {
    @Module({ imports: [CqrsModule], providers: providers as Type[] })
    class Extra {}
    const service = AppModule.forRoot(Config.load({ LOG_LEVEL: 'silent' }).withDatabase(database.url));
    app = await startApp({ ...service, imports: [...service.imports!, Extra] });
  };

  it('start with one handler for each message and a name for each subscriber', async () => {
    await boot(DoItHandler, AskItHandler, ReactsToIt, { provide: Alias as Type, useExisting: ReactsToIt });
    expect(app!.get(Relay).names).toContain('taken');
  });

  it('do not start with two handlers for a command or a query', async () => {
    await expect(boot(DoItHandler, DoItOtherwiseHandler)).rejects.toThrow(
      'DoIt has two handlers: DoItHandler and DoItOtherwiseHandler',
    );
    await expect(boot(AskItHandler, AskItOtherwiseHandler)).rejects.toThrow('AskIt has two handlers');
  });

  it('do not start with two subscribers of one name', async () => {
    await expect(boot(ReactsToIt, PublishesIt)).rejects.toThrow('two subscribers of the event log are called taken');
  });

  it('do not start with an event handler that has no name', async () => {
    await expect(boot(HasNoName)).rejects.toThrow('HasNoName handles events: give it a name with @Reaction');
  });

  it('publish no event: only the log does', async () => {
    app = await startService(database.url);
    const bus = app.get(EventBus, { strict: false });
    expect(() => bus.publish(new Happened({ what: '' }))).toThrow('Nothing is published on the event bus');
    expect(() => bus.publishAll([new Happened({ what: '' })])).toThrow('Nothing is published on the event bus');
  });
});
