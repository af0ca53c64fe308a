import 'reflect-metadata';
import '../src/platform/modest-heap';
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { AppModule, modules } from '../src/app.module';
import type { Allocation } from '../src/allocation/contract/commands';
import { AllocationRequest } from '../src/allocation/http/allocations.schema';
import { Config } from '../src/platform/config';
import { openDatabase } from '../src/platform/database/open-database';
import { stopGracefully } from '../src/platform/http/graceful-stop';
import { Endpoint } from '../src/platform/http/endpoint';
import { createHttpApplication } from '../src/platform/http/http-application';
import { Workers } from '../src/platform/workers';
import { LagModule } from './support/lag.module';

/** Validates and answers like `POST /v1/allocations`, and does nothing in between. */
@Controller('bench/no-op')
class NoOpController {
  @Post()
  @HttpCode(201)
  @Endpoint('noOp', { summary: 'Do nothing', scope: 'allocate', answers: {} })
  allocate(@Body({ schema: AllocationRequest }) body: AllocationRequest): Allocation {
    const { orderId, lineId, sku, qty, priority = 0 } = body;
    return {
      orderId,
      lineId,
      sku,
      qty,
      status: 'promised',
      batchRef: 'batch-0-1',
      eta: null,
      priority,
      repeated: false,
    };
  }
}

@Module({ controllers: [NoOpController] })
class NoOpModule {}

/** The service as `main.ts` starts it, with the benchmark's own modules on top. */
async function start(): Promise<void> {
  const config = Config.load(process.env);
  const own = process.env.BENCH_LAG ? [NoOpModule, LagModule] : [NoOpModule];
  const { url } = await openDatabase(config, [...modules, ...own]);
  const app = await createHttpApplication({
    module: class MeasuredModule {},
    imports: [AppModule.forRoot(config.withDatabase(url)), ...own],
  });
  await app.init();
  const address = await app.getHttpAdapter().getInstance().listen({ host: config.host, port: config.port });
  app.get(Workers).start();
  process.on('SIGTERM', () => void stopGracefully(app).then(() => process.exit(0)));
  process.stdout.write(`The measured service is ready: ${address}\n`);
}

void start();
