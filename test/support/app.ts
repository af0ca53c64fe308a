import 'reflect-metadata';
import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { StructuredLogger } from '../../src/platform/logging/structured-logger';
import { AppModule } from '../../src/app.module';
import { Config } from '../../src/platform/config';
import { createHttpApplication } from '../../src/platform/http/http-application';

/** The application of `module` as the server sets it up, ready for `app.inject`. */
export async function startApp(
  module: Type | DynamicModule,
  logger?: StructuredLogger,
): Promise<NestFastifyApplication> {
  const app = await createHttpApplication(module, {}, logger);
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}

/** The whole service on the database at `databaseUrl`. */
export const startService = (databaseUrl: string, env: NodeJS.ProcessEnv = {}): Promise<NestFastifyApplication> =>
  startApp(AppModule.forRoot(Config.load({ LOG_LEVEL: 'silent', ...env }).withDatabase(databaseUrl)));

/** Lets the application listen on a free port of the loopback interface. */
export async function listen(app: NestFastifyApplication): Promise<number> {
  await app.listen(0, '127.0.0.1');
  return (app.getHttpServer().address() as { port: number }).port;
}
