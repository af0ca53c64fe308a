import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Config } from './config';
import { HealthController } from './health/health.controller';
import { Traffic } from './http/traffic';
import { StructuredLogger } from './logging/structured-logger';
import { CommandMetrics } from './metrics/command-metrics';
import { GroupingMetrics } from './metrics/grouping-metrics';
import { MetricsController } from './metrics/metrics.controller';
import { Migrations } from './database/migrate';
import { EventLog1763800000000 } from './migrations/1763800000000-event-log';
import { UnitOfWorkFactory } from './unit-of-work/unit-of-work-factory';

/** The plumbing that every module may use and that knows none of them. */
@Module({})
@Migrations(EventLog1763800000000)
export class PlatformModule {
  static forRoot(config: Config): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController, MetricsController],
      providers: [
        { provide: Config, useValue: config },
        { provide: StructuredLogger, useFactory: () => new StructuredLogger(config) },
        { provide: Registry, useFactory: processMetrics },
        CommandMetrics,
        GroupingMetrics,
        Traffic,
        UnitOfWorkFactory,
      ],
      exports: [UnitOfWorkFactory, Config, StructuredLogger, Registry, CommandMetrics, Traffic],
    };
  }
}

function processMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
