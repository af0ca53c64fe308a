import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Broker } from './broker/broker';
import { BrokerIntake } from './broker/broker-intake';
import { EventStreamPublisher } from './broker/event-stream.publisher';
import { Execution } from './broker/execution';
import { DeadLettersCommand } from './cli/dead-letters.command';
import { KeysCommand } from './cli/keys.command';
import { RebuildCommand } from './cli/rebuild.command';
import { SubscribersCommand } from './cli/subscribers.command';
import { VerifyCommand } from './cli/verify.command';
import { Config } from './config';
import { ApiKeys } from './credentials/api-keys';
import { Authorization } from './credentials/authorization';
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
import { LogSignal } from './event-log/log-signal';
import { Relay } from './event-log/relay';
import { OneHandlerPerMessage } from './messages/one-handler-per-message';
import { RelayMetrics } from './metrics/relay-metrics';
import { ForgetOldUnits } from './unit-of-work/forget-old-units';
import { UnitOfWorkFactory } from './unit-of-work/unit-of-work-factory';
import { logInvariants } from './verify/log-invariants';
import { ProjectionsEqualAFreshFold } from './verify/projections-equal-a-fresh-fold';
import { Workers } from './workers';

/** The plumbing that every module may use and that knows none of them. */
@Module({})
@Migrations(EventLog1763800000000, Subscribers1763900000000, Broker1764100000400, Keys1764100000500)
export class PlatformModule {
  static forRoot(config: Config): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      imports: [DiscoveryModule, TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController, MetricsController],
      providers: [
        { provide: Config, useValue: config },
        { provide: StructuredLogger, useFactory: () => new StructuredLogger(config) },
        { provide: Registry, useFactory: processMetrics },
        ApiKeys,
        Authorization,
        Broker,
        BrokerIntake,
        BrokerMetrics,
        CommandMetrics,
        EventStreamPublisher,
        Execution,
        ForgetOldUnits,
        GroupingMetrics,
        LogSignal,
        OneHandlerPerMessage,
        Relay,
        RelayMetrics,
        Traffic,
        UnfinishedAnswers,
        UnitOfWorkFactory,
        Workers,
        DeadLettersCommand,
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
