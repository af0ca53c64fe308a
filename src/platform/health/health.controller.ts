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
import { Broker } from '../broker/broker';
import { Endpoint, json } from '../http/endpoint';
import { problem } from '../http/problem';
import { Traffic } from '../http/traffic';

const databaseTimeoutMs = 1000;

const Health = z.object({ status: z.literal('ok') }).meta({ id: 'Health', description: 'The service is well.' });

const Check = z.object({
  status: z.enum(['up', 'degraded']).describe('degraded: it fails, and the service does without it for now.'),
  message: z.string().optional(),
});

const Readiness = z
  .object({
    status: z.literal('ok'),
    checks: z.object({ intake: Check, database: Check, broker: Check.optional().describe('Absent: there is none.') }),
  })
  .meta({ id: 'Readiness', description: 'The service takes requests.' });

type Readiness = z.output<typeof Readiness>;

const up = { status: 'up' } as const;
const brokerDegraded = {
  status: 'degraded',
  message: 'Redis does not answer. What is to be published waits, and so does what is to be read.',
} as const;

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
    private readonly broker: Broker,
  ) {}

  @Get('live')
  @Header('cache-control', 'no-store')
  @Endpoint('getLiveness', {
    summary: 'Ask whether the process is up',
    scope: 'public',
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
    scope: 'public',
    description:
      'No while it stops and while its database does not answer within a second. A broker that does not answer is told and is no reason.',
    answers: {
      200: json('It does.', Readiness, { status: 'ok', checks: { intake: up, database: up, broker: brokerDegraded } }),
    },
    problems: [
      problem(503, 'not-ready', 'The service cannot take requests now.', {
        checks: { intake: { status: 'up' }, database: { status: 'down', message: 'timeout of 1000ms exceeded' } },
      }),
    ],
  })
  async ready(): Promise<Readiness> {
    const broker = this.broker.isConfigured ? this.broker.answers() : undefined;
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
    const checks = { intake: up, database: up, ...(broker && { broker: (await broker) ? up : brokerDegraded }) };
    return { status: 'ok', checks };
  }
}
