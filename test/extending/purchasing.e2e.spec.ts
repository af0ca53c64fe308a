import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, modules } from '../../src/app.module';
import { Config } from '../../src/platform/config';
import { migrate } from '../../src/platform/database/migrate';
import { Relay } from '../../src/platform/event-log/relay';
import { startApp } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { PurchasingModule } from './purchasing/purchasing.module';

describe('A module of one’s own', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;
  beforeAll(async () => {
    db = await freshDatabase();
    await migrate(db.url, [...modules, PurchasingModule]);
    const config = Config.load({ LOG_LEVEL: 'silent' }).withDatabase(db.url);
    @Module({ imports: [AppModule.forRoot(config), PurchasingModule] })
    class ExtendedModule {}
    app = await startApp(ExtendedModule);
    app.get(Relay).start();
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });

  it('reacts, projects, answers and sends commands, with nothing of the others touched', async () => {
    await post('/v1/batches', { ref: 'b1', sku: 'TABLE', qty: 5 });
    await post('/v1/allocations', { orderId: 'o1', sku: 'TABLE', qty: 5 });
    expect((await post('/v1/allocations', { orderId: 'o2', sku: 'TABLE', qty: 7 })).statusCode).toBe(409);

    await eventually(async () => {
      expect((await app.inject('/v1/purchases/suggestions')).json()).toEqual([{ sku: 'TABLE', qty: 7 }]);
      const client = await db.client();
      expect((await client.query('SELECT * FROM purchasing.demand')).rows).toEqual([{ sku: 'TABLE', units: '12' }]);
    });

    expect((await post('/v1/purchases', { ref: 'po-1', sku: 'TABLE', qty: 10, eta: '2031-01-01' })).statusCode).toBe(
      201,
    );
    expect((await post('/v1/allocations', { orderId: 'o2', sku: 'TABLE', qty: 7 })).json()).toMatchObject({
      status: 'promised',
      batchRef: 'po-1',
    });
  });

  it('is written as docs/extending.md shows it', () => {
    const page = readFileSync(join(__dirname, '../../docs/extending.md'), 'utf8');
    const blocks = [...page.matchAll(/^```ts\n\/\/ src\/purchasing\/(\S+)\n([\s\S]*?)^```$/gm)];
    expect(blocks.length).toBeGreaterThanOrEqual(7);
    for (const [, file, code] of blocks) {
      const real = readFileSync(join(__dirname, 'purchasing', file!), 'utf8');
      expect(code).toBe(real.replace(/((?:\.\.\/)+)\.\.\/\.\.\/src\//g, '$1'));
    }
  });
});

async function eventually(check: () => Promise<void>): Promise<void> {
  for (const deadline = Date.now() + 10_000; ; await new Promise(setImmediate)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
