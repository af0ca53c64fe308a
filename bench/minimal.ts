import 'reflect-metadata';
import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandBus, CommandHandler, CqrsModule, type ICommandHandler } from '@nestjs/cqrs';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { HealthCheck, HealthCheckService, TerminusModule, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import { pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { z } from 'zod';

/*
 * What the toolchain costs by itself: an application of the same packages with one command, health, metrics and a
 * document, and nothing of Batchwise.
 */

const Line = z.strictObject({ sku: z.string().max(64), qty: z.int().min(1) });

class Note {
  constructor(readonly sku: string) {}
}

@CommandHandler(Note)
class NoteHandler implements ICommandHandler<Note> {
  constructor(@InjectDataSource() private readonly database: DataSource) {}

  execute({ sku }: Note): Promise<unknown> {
    return this.database.query('SELECT $1::text AS sku', [sku]);
  }
}

@Controller()
class MinimalController {
  private readonly registry = new Registry();

  constructor(
    private readonly commands: CommandBus,
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
  ) {
    collectDefaultMetrics({ register: this.registry });
  }

  @Post('notes')
  note(@Body() body: unknown): Promise<unknown> {
    return this.commands.execute(new Note(Line.parse(body).sku));
  }

  @Get('health')
  @HealthCheck()
  check(): Promise<unknown> {
    return this.health.check([() => this.database.pingCheck('database')]);
  }

  @Get('metrics')
  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL!, poolSize: 10 }),
    CqrsModule.forRoot(),
    TerminusModule.forRoot({ logger: false }),
  ],
  controllers: [MinimalController],
  providers: [NoteHandler],
})
class MinimalModule {}

async function start(): Promise<void> {
  const logger = pino({ level: 'warn' });
  const app = await NestFactory.create<NestFastifyApplication>(MinimalModule, new FastifyAdapter(), { logger: false });
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, new DocumentBuilder().build()));
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  logger.debug('listening');
  process.stdout.write(`The minimal application is ready: ${await app.getUrl()}\n`);
}

void start();
