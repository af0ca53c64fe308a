import { Controller, Get, Header, ServiceUnavailableException } from '@nestjs/common';
import {
  HealthCheckService,
  type HealthCheckResult,
  HealthIndicatorService,
  TypeOrmHealthIndicator,
} from '@nestjs/terminus';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { DomainError } from '../../kernel/domain-error';
import { Endpoint, json } from '../http/endpoint';
import { problem } from '../http/problem';
import { Traffic } from '../http/traffic';

const databaseTimeoutMs = 1000;

const Health = z.object({ status: z.literal('ok') }).meta({ id: 'Health', description: 'The service is well.' });

/** The service cannot take requests now. */
class NotReady extends DomainError {
  constructor(checks: unknown) {
    super('not-ready', 'unavailable', 'The service cannot take requests now.', { checks });
  }
}

@ApiTags('Operations')
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly traffic: Traffic,
  ) {}

  @Get('live')
  @Header('cache-control', 'no-store')
  @Endpoint('getLiveness', {
    summary: 'Ask whether the process is up',
    description: 'A process that does not answer should be restarted.',
    answers: { 200: json('It is.', Health, { status: 'ok' }) },
  })
  live(): z.output<typeof Health> {
    return { status: 'ok' };
  }

  @Get('ready')
  @Header('cache-control', 'no-store')
  @Endpoint('getReadiness', {
    summary: 'Ask whether the service takes requests',
    description: 'No while it stops and while its database does not answer within a second.',
    answers: { 200: json('It does.', Health, { status: 'ok' }) },
    problems: [
      problem(503, 'not-ready', 'The service cannot take requests now.', {
        checks: { intake: { status: 'up' }, database: { status: 'down', message: 'timeout of 1000ms exceeded' } },
      }),
    ],
  })
  async ready(): Promise<z.output<typeof Health>> {
    const intake = this.indicators.check('intake');
    try {
      await this.health.check([
        () => (this.traffic.leaving ? intake.down('the service is stopping') : intake.up()),
        () => this.database.pingCheck('database', { timeout: databaseTimeoutMs }),
      ]);
    } catch (error) {
      if (error instanceof ServiceUnavailableException)
        throw new NotReady((error.getResponse() as HealthCheckResult).details);
      throw error;
    }
    return { status: 'ok' };
  }
}
