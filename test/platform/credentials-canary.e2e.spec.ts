import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, modules } from '../../src/app.module';
import { Config } from '../../src/platform/config';
import { openDatabase } from '../../src/platform/database/open-database';
import { explain } from '../../src/platform/explain';
import { StructuredLogger } from '../../src/platform/logging/structured-logger';
import { Workers } from '../../src/platform/workers';
import { startApp } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';

const canary = 'canary-0123456789-0123456789-0123456789';
const token = `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ sub: canary })).toString('base64url')}.canary`;

/** What must not be read anywhere: the secrets as they are, and as their digests. */
const secrets = /canary|eyJzdWIi|Y2FuYXJ5/;

describe('A secret', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;
  let written = '';
  const printed: jest.SpyInstance[] = [];

  beforeAll(async () => {
    db = await freshDatabase();
    for (const stream of [process.stdout, process.stderr])
      printed.push(jest.spyOn(stream, 'write').mockImplementation((text) => Boolean((written += String(text)))));
    const config = Config.load({
      LOG_LEVEL: 'trace',
      LOG_FORMAT: 'json',
      API_KEYS: `shop stock:read,stock:write,allocate ${canary}-key`,
      OIDC_ISSUER: 'http://127.0.0.1:1',
      OIDC_AUDIENCE: 'batchwise',
      SMTP_URL: `smtp://user:${canary}@127.0.0.1:1`,
      REDIS_URL: `redis://user:${canary}@127.0.0.1:1`,
    }).withDatabase(db.url);
    const logger = new StructuredLogger(config, { write: (text) => void (written += text) });
    app = await startApp(AppModule.forRoot(config), logger);
    app.get(Workers).start();
  });
  afterAll(async () => {
    await app.close();
    for (const spy of printed) spy.mockRestore();
    await db.drop();
  });

  it('is in no line that the service writes, whatever is done with it and whatever fails', async () => {
    const ask = (authorization: string, method: 'GET' | 'POST' = 'GET', url = '/v1/batches', payload?: object) =>
      app.inject({
        method,
        url,
        headers: { authorization, cookie: canary, 'x-api-key': canary },
        ...(payload && { payload }),
      });
    const key = `Bearer ${canary}-key`;
    const answers = [
      await ask(key, 'POST', '/v1/batches', { ref: 'b1', sku: 'TABLE', qty: 1 }),
      await ask(key, 'POST', '/v1/allocations', { orderId: 'o1', sku: 'TABLE', qty: 5 }),
      await ask(`Bearer ${canary}`),
      await ask(`Bearer bw_0123456789ab_${canary.padEnd(43, 'x')}`),
      await ask(`Basic ${Buffer.from(`user:${canary}`).toString('base64')}`),
      await ask(`Bearer ${token}`),
      await ask(key, 'GET', '/metrics'),
      await ask(key, 'GET', `/v1/batches?api_key=${canary}`),
    ];
    const statuses = answers.map(({ statusCode }) => statusCode);
    expect(statuses).toEqual([201, 409, 401, 401, 401, 401, 403, 400]);
    await until(() => /TABLE.*(failed and is sent again|was given up)|failed and is sent again/.test(written));
    expect(written).toContain('A credential was refused');
    expect(written).toContain('request completed');
    expect(written).not.toMatch(secrets);
    for (const { body, headers } of answers.slice(0, -1))
      expect(`${body}${JSON.stringify(headers)}`).not.toMatch(secrets);
  });

  it('is in no complaint about what it opens, or about its own form', async () => {
    const reached = async (): Promise<string> => {
      const config = Config.load({ DATABASE_URL: `postgres://user:${canary}@127.0.0.1:1/none` });
      return openDatabase(config, modules).then(() => 'opened', explain);
    };
    const refused = async (): Promise<string> => {
      const url = new URL(db.url);
      Object.assign(url, { username: 'nobody', password: canary });
      return openDatabase(Config.load({ DATABASE_URL: url.href, ALLOW_UNSAFE_DURABILITY: 'true' }), modules).then(
        () => 'opened',
        explain,
      );
    };
    const malformed = (env: NodeJS.ProcessEnv): string => {
      try {
        Config.load(env);
        return 'loaded';
      } catch (error) {
        return explain(error);
      }
    };
    const complaints = [
      await reached(),
      await refused(),
      malformed({ DATABASE_URL: `mysql://user:${canary}@127.0.0.1` }),
      malformed({ SMTP_URL: `http://user:${canary}@127.0.0.1` }),
      malformed({ API_KEYS: `shop everything ${canary}` }),
    ];
    expect(complaints.filter((complaint) => ['opened', 'loaded'].includes(complaint))).toEqual([]);
    expect(complaints.join('\n')).not.toMatch(secrets);
  });
});
