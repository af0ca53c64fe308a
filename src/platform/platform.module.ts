import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { AdminController } from './admin/admin.controller';
import { Subscriptions } from './admin/subscriptions';
import { Broker } from './broker/broker';
import { BrokerChannels } from './broker/broker.channels';
import { BrokerIntake } from './broker/broker-intake';
import { EventStreamPublisher } from './broker/event-stream.publisher';
import { Execution } from './broker/execution';
import { DeadLettersCommand } from './cli/dead-letters.command';
import { EventsCommand } from './cli/events.command';
import { KeysCommand } from './cli/keys.command';
import { RebuildCommand } from './cli/rebuild.command';
import { SubscribersCommand } from './cli/subscribers.command';
import { VerifyCommand } from './cli/verify.command';
import { Config } from './config';
import { ApiKeys } from './credentials/api-keys';
import { Authorization } from './credentials/authorization';
import { AsyncApiController } from './feed/async-api.controller';
import { EventCatalogue } from './feed/event-catalogue';
import { EventFeed } from './feed/event-feed';
import { EventStreams } from './feed/event-streams';
import { EventsController } from './feed/events.controller';
import { FeedChannels } from './feed/feed.channels';
import { LogWatch } from './feed/log-watch';
import { HealthController } from './health/health.controller';
import { Traffic } from './http/traffic';
import { UnfinishedAnswers } from './http/unfinished-answers';
import { StructuredLogger } from './logging/structured-logger';
import { BrokerMetrics } from './metrics/broker-metrics';
import { CommandMetrics } from './metrics/command-metrics';
import { GroupingMetrics } from './metrics/grouping-metrics';
import { MetricsController } from './metrics/metrics.controller';
import { Migrations } from './database/migrate';
import { EventLog1763800000000 } from './migrations/1763800000000-event-log';
import { Subscribers1763900000000 } from './migrations/1763900000000-subscribers';
import { Broker1764100000400 } from './migrations/1764100000400-broker';
import { Keys1764100000500 } from './migrations/1764100000500-keys';
import { Idempotency1764100000600 } from './migrations/1764100000600-idempotency';
import { LogSignal } from './event-log/log-signal';
import { Relay } from './event-log/relay';
import { OneHandlerPerMessage } from './messages/one-handler-per-message';
import { RelayMetrics } from './metrics/relay-metrics';
import { ForgetOldUnits } from './unit-of-work/forget-old-units';
import { MessageSpans } from './tracing/message-spans';
import { UnitOfWorkFactory } from './unit-of-work/unit-of-work-factory';
import { logInvariants } from './verify/log-invariants';
import { ProjectionsEqualAFreshFold } from './verify/projections-equal-a-fresh-fold';
import { Workers } from './workers';

/** The plumbing that every module may use and that knows none of them. */
@Module({})
@Migrations(
  EventLog1763800000000,
  Subscribers1763900000000,
  Broker1764100000400,
  Keys1764100000500,
  Idempotency1764100000600,
)
export class PlatformModule {
  static forRoot(config: Config): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      imports: [DiscoveryModule, TerminusModule.forRoot({ logger: false })],
      controllers: [AdminController, AsyncApiController, EventsController, HealthController, MetricsController],
      providers: [
        { provide: Config, useValue: config },
        { provide: StructuredLogger, useFactory: () => new StructuredLogger(config) },
        { provide: Registry, useFactory: processMetrics },
        ApiKeys,
        Authorization,
        Broker,
        BrokerChannels,
        BrokerIntake,
        BrokerMetrics,
        CommandMetrics,
        EventCatalogue,
        EventFeed,
        EventStreamPublisher,
        EventStreams,
        Execution,
        FeedChannels,
        ForgetOldUnits,
        GroupingMetrics,
        LogSignal,
        LogWatch,
        MessageSpans,
        OneHandlerPerMessage,
        Relay,
        RelayMetrics,
        Subscriptions,
        Traffic,
        UnfinishedAnswers,
        UnitOfWorkFactory,
        Workers,
        DeadLettersCommand,
        EventsCommand,
        KeysCommand,
        RebuildCommand,
        SubscribersCommand,
        VerifyCommand,
        ...logInvariants,
        ProjectionsEqualAFreshFold,
      ],
      exports: [
        Broker,
        CommandMetrics,
        Config,
        EventCatalogue,
        LogSignal,
        Registry,
        Relay,
        StructuredLogger,
        Traffic,
        UnitOfWorkFactory,
      ],
    };
  }
}

function processMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
