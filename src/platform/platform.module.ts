import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { DeadLettersCommand } from './cli/dead-letters.command';
import { RebuildCommand } from './cli/rebuild.command';
import { SubscribersCommand } from './cli/subscribers.command';
import { VerifyCommand } from './cli/verify.command';
import { Config } from './config';
import { HealthController } from './health/health.controller';
import { Traffic } from './http/traffic';
import { StructuredLogger } from './logging/structured-logger';
import { CommandMetrics } from './metrics/command-metrics';
import { GroupingMetrics } from './metrics/grouping-metrics';
import { MetricsController } from './metrics/metrics.controller';
import { Migrations } from './database/migrate';
import { EventLog1763800000000 } from './migrations/1763800000000-event-log';
import { Subscribers1763900000000 } from './migrations/1763900000000-subscribers';
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
@Migrations(EventLog1763800000000, Subscribers1763900000000)
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
        CommandMetrics,
        ForgetOldUnits,
        GroupingMetrics,
        LogSignal,
        OneHandlerPerMessage,
        Relay,
        RelayMetrics,
        Traffic,
        UnitOfWorkFactory,
        Workers,
        DeadLettersCommand,
        RebuildCommand,
        SubscribersCommand,
        VerifyCommand,
        ...logInvariants,
        ProjectionsEqualAFreshFold,
      ],
      exports: [CommandMetrics, Config, LogSignal, Registry, Relay, StructuredLogger, Traffic, UnitOfWorkFactory],
    };
  }
}

function processMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
