import { setTimeout as delay } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Config } from '../config';
import { CommandMetrics } from '../metrics/command-metrics';
import { Workers } from '../workers';
import { Traffic } from './traffic';

/**
 * Stops the application without losing a request: says that it is not ready and asks clients to leave, gives load
 * balancers time to notice, takes no more connections, and closes once everything that came in is answered.
 */
export async function stopGracefully(app: NestFastifyApplication): Promise<void> {
  const traffic = app.get(Traffic);
  const server = app.getHttpServer();
  traffic.leave();
  await delay(app.get(Config).drainDelayMs);
  server.close();
  await Promise.all([traffic.requests.idle(), app.get(Workers).stop()]);
  await app.get(CommandMetrics).running.idle();
  server.closeAllConnections();
  await app.close();
}
