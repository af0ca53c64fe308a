import 'reflect-metadata';
import './platform/modest-heap';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, modules } from './app.module';
import { Config } from './platform/config';
import { Authorization } from './platform/credentials/authorization';
import { openDatabase, type OpenDatabase } from './platform/database/open-database';
import { explain } from './platform/explain';
import { stopGracefully } from './platform/http/graceful-stop';
import { createHttpApplication } from './platform/http/http-application';
import type { Tracing } from './platform/tracing/open-telemetry';
import { Workers } from './platform/workers';

const stopWithinMs = 30_000;

async function start(): Promise<void> {
  const config = Config.load(process.env);
  const tracing = await beginTracing(config);
  const database = await openDatabase(config, modules);
  try {
    const app = await createHttpApplication(AppModule.forRoot(config.withDatabase(database.url)));
    await app.init();
    await app.get(Authorization).begin();
    const url = await app.getHttpAdapter().getInstance().listen({ host: config.host, port: config.port });
    app.get(Workers).start();
    stopOnSignal(app, database, tracing);
    process.stdout.write(`Batchwise is ready: ${url} - explorer: ${url}/docs\n`);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Loads what collects spans only where they are wanted. */
async function beginTracing({ otlpEndpoint }: Config): Promise<Tracing | undefined> {
  if (otlpEndpoint === undefined) return undefined;
  const { startTracing } = await import('./platform/tracing/open-telemetry.js');
  return startTracing(otlpEndpoint);
}

/** The first signal stops the service in order; a second one, or 30 seconds, at once. */
function stopOnSignal(app: NestFastifyApplication, database: OpenDatabase, tracing?: Tracing): void {
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), stopWithinMs).unref();
    try {
      await stopGracefully(app);
      await database.close();
      await tracing?.stop();
      process.exit(0);
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
}

start().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
});
