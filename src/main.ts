import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, modules } from './app.module';
import { Config, InvalidConfig } from './platform/config';
import { startEmbeddedPostgres } from './platform/database/embedded-postgres';
import { migrate, requireCurrentSchema, SchemaMismatch } from './platform/database/migrate';
import { requireFitServer, UnfitServer } from './platform/database/require-fit-server';
import { Relay } from './platform/event-log/relay';
import { stopGracefully } from './platform/http/graceful-stop';
import { createHttpApplication } from './platform/http/http-application';

const stopWithinMs = 30_000;

async function start(): Promise<void> {
  const config = Config.load(process.env);
  const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
  const databaseUrl = config.databaseUrl ?? embedded!.url();
  try {
    await requireFitServer(databaseUrl, config);
    if (embedded || config.migrateOnStart) await migrate(databaseUrl, modules);
    else await requireCurrentSchema(databaseUrl, modules);
    const app = await createHttpApplication(AppModule.forRoot(config.withDatabase(databaseUrl)));
    await app.init();
    const url = await app.getHttpAdapter().getInstance().listen({ host: config.host, port: config.port });
    app.get(Relay).start();
    stopOnSignal(app, embedded);
    process.stdout.write(`Batchwise is ready: ${url} - explorer: ${url}/docs\n`);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** The first signal stops the service in order; a second one, or 30 seconds, at once. */
function stopOnSignal(app: NestFastifyApplication, embedded: { stop(): Promise<void> } | undefined): void {
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), stopWithinMs).unref();
    try {
      await stopGracefully(app);
      await embedded?.stop();
      process.exit(0);
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
}

/** What an operator can act on is told in one line; a defect shows where it came from. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (oneOf([InvalidConfig, UnfitServer, SchemaMismatch], error)) return error.message;
  if (oneOf([TypeError, ReferenceError, RangeError, SyntaxError], error)) return error.stack ?? error.message;
  if (code === 'EADDRINUSE')
    return `Batchwise cannot listen on ${address}:${port}: the port is in use. Set PORT to another one.`;
  const reasons = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  return `Batchwise cannot start: ${reasons.map(({ message }) => message).join('; ')}`;
}

const oneOf = (kinds: readonly (new (...parts: never[]) => Error)[], error: Error): boolean =>
  kinds.some((kind) => error instanceof kind);

start().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
});
