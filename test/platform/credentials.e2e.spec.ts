import { PassThrough } from 'node:stream';
import { Controller, Get, Module, StreamableFile } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Client } from 'pg';
import { UsageError } from '../../src/platform/cli/cli-command';
import { KeysCommand } from '../../src/platform/cli/keys.command';
import { digestOf } from '../../src/platform/credentials/api-key';
import { ApiKeys } from '../../src/platform/credentials/api-keys';
import { Authorization } from '../../src/platform/credentials/authorization';
import { Database } from '../../src/platform/database/database';
import { Endpoint } from '../../src/platform/http/endpoint';
import { UnfinishedAnswers } from '../../src/platform/http/unfinished-answers';
import { listen, startApp, startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { Edge } from '../support/edge';

const everything = 'stock:read,stock:write,allocate,events:read,ops';
const secret = 'a-secret-that-nobody-else-may-know';

/** The clock of every replica; it goes on when a test says so. */
let now = 1e6;

describe('Credentials', () => {
  let db: TestDatabase;
  let client: Client;
  const apps: NestFastifyApplication[] = [];
  let app: NestFastifyApplication;
  let full: string;

  const replica = async (env: NodeJS.ProcessEnv = {}): Promise<NestFastifyApplication> => {
    const started = await startService(db.url, env);
    started.get(ApiKeys).now = () => now;
    apps.push(started);
    return started;
  };

  /** Runs `batchwise keys …`. */
  const keys = async (...args: string[]): Promise<{ code: number; out: string[]; notes: string[] }> => {
    const out: string[] = [];
    const notes: string[] = [];
    const terminal = { out: (line: string) => out.push(line), note: (line: string) => notes.push(line) };
    const code = await app.get(KeysCommand, { strict: false }).run(args, terminal as never);
    return { code, out, notes };
  };

  const create = async (name: string, scopes: string): Promise<{ key: string; id: string }> => {
    const { out } = await keys('create', name, '--scopes', scopes);
    now += 1000;
    return { key: out[0]!, id: out[0]!.slice(0, 15) };
  };

  const ask = (
    of: NestFastifyApplication,
    credential?: string,
    { url = '/v1/batches', from = '127.0.0.1', ...more }: { url?: string; from?: string; [name: string]: unknown } = {},
  ) =>
    of.inject({
      method: 'GET',
      ...more,
      url,
      remoteAddress: from,
      headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
    });

  beforeAll(async () => {
    db = await freshDatabase();
    client = await db.client();
    app = await replica();
  });
  afterAll(async () => {
    await Promise.all(apps.map((each) => each.close()));
    await db.drop();
  });

  it('are not asked for while there are none, and within five seconds once there is one', async () => {
    const other = await replica();
    for (const each of [app, other]) expect((await ask(each)).statusCode).toBe(200);
    const { code, out, notes } = await keys('create', 'everything', '--scopes', everything);
    expect({ code, out }).toEqual({ code: 0, out: [expect.stringMatching(/^bw_[0-9a-f]{12}_[\w-]{43}$/)] });
    expect(notes.join()).toContain('It is the first');
    full = out[0]!;
    now += 5001;
    for (const each of [app, other]) {
      expect((await ask(each)).statusCode).toBe(401);
      expect((await ask(each, full)).statusCode).toBe(200);
    }
    const stored = await client.query<object>('SELECT * FROM platform.api_key');
    expect(JSON.stringify(stored.rows)).not.toContain(full.slice(17));
    expect((await keys('create', 'second', '--scopes', 'ops')).notes.join()).not.toContain('first');
  });

  it('are asked for by every operation but those that say how the service is, whatever the method', async () => {
    type Paths = Record<string, Record<string, { operationId: string; security: object[]; responses: object }>>;
    const { paths } = (await app.inject('/docs/openapi.json')).json<{ paths: Paths }>();
    const open: string[] = [];
    for (const [path, methods] of Object.entries(paths))
      for (const [method, { operationId, security, responses }] of Object.entries(methods)) {
        const url = path.replaceAll(/\{\w+\}/g, '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47');
        const { statusCode } = await ask(app, undefined, { url, method: method.toUpperCase() });
        if (statusCode !== 401) open.push(operationId);
        else {
          expect({ operationId, security }).toEqual({
            operationId,
            security: [{ apiKey: [expect.any(String)] }, { accessToken: [expect.any(String)] }],
          });
          expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '403', '429', '503']));
        }
      }
    expect(open.sort()).toEqual(['getLiveness', 'getReadiness']);
    expect((await ask(app, undefined, { method: 'HEAD' })).statusCode).toBe(401);
    for (const url of ['/docs', '/docs/openapi.json', '/docs/swagger-ui.css', '/health/live'])
      expect({ url, status: (await ask(app, undefined, { url })).statusCode }).toEqual({ url, status: 200 });
    expect((await ask(app, undefined, { url: '/v1/nothing' })).statusCode).toBe(404);
  });

  it('that are missing or wrong are told as such, and no more', async () => {
    const missing = await ask(app);
    expect([missing.statusCode, missing.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(missing.headers['content-type']).toContain('application/problem+json');
    expect(missing.json()).toMatchObject({ code: 'unauthenticated', status: 401 });
    for (const wrong of [`${full.slice(0, -1)}${full.endsWith('A') ? 'E' : 'A'}`, secret, 'a.b.c', 'bw_']) {
      const refused = await ask(app, wrong, { from: '192.0.2.1' });
      expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
      expect(refused.json().detail).toBe('The credential is not valid.');
      expect(refused.body).not.toContain(wrong);
    }
    for (const authorization of ['', 'Bearer', 'Bearer  ', `Basic ${full}`, full, `Bearer ${full} ${full}`]) {
      const { statusCode } = await app.inject({ url: '/v1/batches', headers: { authorization } });
      expect({ authorization, statusCode }).toEqual({ authorization, statusCode: 401 });
    }
    const lower = await app.inject({ url: '/v1/batches', headers: { authorization: `bearer  ${full}` } });
    expect(lower.statusCode).toBe(200);
  });

  it('are told to the clients of the book in its words', async () => {
    const { key } = await create('reader', 'stock:read');
    const payload = { orderid: 'o1', sku: 'TABLE', qty: 1 };
    const book = { url: '/allocate', method: 'POST', payload };
    const missing = await ask(app, undefined, book);
    expect([missing.statusCode, Object.keys(missing.json())]).toEqual([401, ['message']]);
    const forbidden = await ask(app, key, book);
    expect([forbidden.statusCode, forbidden.json()]).toEqual([403, { message: expect.stringContaining('allocate') }]);
  });

  it('allow their scopes and nothing else', async () => {
    const { key } = await create('stock-reader', 'stock:read');
    expect((await ask(app, key)).statusCode).toBe(200);
    const batch = { url: '/v1/batches', method: 'POST', payload: { ref: 'stolen', sku: 'TABLE', qty: 1 } };
    const refused = await ask(app, key, batch);
    expect([refused.statusCode, refused.json()]).toEqual([
      403,
      expect.objectContaining({ code: 'forbidden', scope: 'stock:write' }),
    ]);
    expect(refused.headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="stock:write"');
    expect((await ask(app, key, { url: '/metrics' })).statusCode).toBe(403);
    expect((await ask(app, full, { url: '/v1/batches/stolen' })).statusCode).toBe(404);
  });

  it('are refused before the body is read', async () => {
    const payload = '{'.repeat(1024 * 1024 + 1);
    const { statusCode } = await ask(app, undefined, { url: '/v1/batches', method: 'POST', payload });
    expect(statusCode).toBe(401);
  });

  it('name who did what in the log of events', async () => {
    const { key } = await create('warehouse', 'stock:write');
    await ask(app, key, { method: 'POST', payload: { ref: 'named', sku: 'NAMED', qty: 5 } });
    const { rows } = await client.query(`SELECT actor FROM platform.event WHERE stream = 'product:NAMED'`);
    expect(rows).toEqual([{ actor: 'key:warehouse' }]);
  });

  it('cost no statement while they are known, and unknown ones none either', async () => {
    await ask(app, full);
    const query = jest.spyOn(app.get(Database, { strict: false }), 'query');
    for (let n = 0; n < 30; n += 1) await ask(app, full);
    for (let n = 0; n < 10; n += 1)
      await ask(app, `bw_0123456789ab_${String(n).padStart(43, 'x')}`, { from: '192.0.2.2' });
    expect(query.mock.calls.filter(([{ name }]) => name === 'api-keys')).toEqual([]);
    query.mockRestore();
  });

  it('are taken by no replica five seconds after they were revoked', async () => {
    const { key, id } = await create('leaked', 'stock:read');
    for (const each of apps) expect((await ask(each, key)).statusCode).toBe(200);
    expect(await keys('revoke', id, 'bw_000000000000')).toEqual({
      code: 1,
      out: [`${id} is revoked; in five seconds no replica takes it.`],
      notes: ['There is no key bw_000000000000.'],
    });
    now += 5001;
    for (const each of apps) expect((await ask(each, key, { from: '192.0.2.3' })).statusCode).toBe(401);
    expect((await ask(app, full)).statusCode).toBe(200);
  });

  it('are refused once they have expired, by the clock of the database', async () => {
    const { out } = await keys('create', 'short', '--scopes', 'stock:read', '--days', '1');
    now += 1000;
    expect((await ask(app, out[0])).statusCode).toBe(200);
    await client.query(`
      UPDATE platform.api_key
      SET created_at = created_at - interval '2 days', expires_at = clock_timestamp() - interval '1 s' WHERE name = 'short'`);
    now += 5001;
    expect((await ask(app, out[0], { from: '192.0.2.4' })).statusCode).toBe(401);
  });

  it('are listed without what they are', async () => {
    const { out } = await keys('list');
    expect(out[0]).toMatch(/^id +name +scopes +created +expires +state$/);
    expect(out.join('\n')).toMatch(/^bw_[0-9a-f]{12} +leaked +stock:read +[\d-]{10} +never +revoked$/m);
    expect(out.join('\n')).toMatch(/ short +stock:read +[\d-]{10} +[\d-]{10} +expired$/m);
    expect(out.join('\n')).toMatch(/ everything .* valid$/m);
    expect(out.join('\n')).not.toContain(full);
  });

  it.each([
    [[]],
    [['create']],
    [['create', 'a']],
    [['create', 'a', '--scopes', '']],
    [['create', 'a', '--scopes', 'stock:steal']],
    [['create', 'a', '--scopes', 'public']],
    [['create', 'a b', '--scopes', 'ops']],
    [['create', 'a', '--scopes', 'ops', '--days', '0']],
    [['create', 'a', 'b', '--scopes', 'ops']],
    [['revoke']],
    [['revoke', 'a']],
    [['revoke', 'bw_0123456789ab', '--days', '1']],
    [['list', 'all']],
    [['forget']],
  ])('are not made, nor revoked, by a command that is not understood: %j', async (args) => {
    await expect(keys(...args)).rejects.toBeInstanceOf(UsageError);
  });

  it('of the configuration count beside those of the database', async () => {
    const configured = await replica({ API_KEYS: `backup stock:read ${secret}` });
    expect((await ask(configured, secret)).statusCode).toBe(200);
    expect((await ask(configured, secret, { method: 'POST', payload: {} })).statusCode).toBe(403);
    expect((await ask(configured, full)).statusCode).toBe(200);
    expect((await ask(configured)).statusCode).toBe(401);
  });

  describe('that are wrong', () => {
    const guess = (n: number) => `bw_0123456789ab_${String(n).padStart(43, '0')}`;

    it('are limited by address, and nobody else is', async () => {
      for (let n = 0; n < 20; n += 1) expect((await ask(app, guess(n), { from: '198.51.100.1' })).statusCode).toBe(401);
      const limited = await ask(app, guess(20), { from: '198.51.100.1' });
      expect([limited.statusCode, limited.json().code]).toEqual([429, 'rate-limited']);
      expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
      now += 5001;
      expect((await ask(app, guess(20), { from: '198.51.100.1' })).statusCode).toBe(401);
      expect((await ask(app, guess(20), { from: '198.51.100.1' })).statusCode).toBe(429);
      expect((await ask(app, full, { from: '198.51.100.1' })).statusCode).toBe(200);
      expect((await ask(app, guess(21), { from: '198.51.100.2' })).statusCode).toBe(401);
      now += Number(limited.headers['retry-after']) * 1000;
      expect((await ask(app, guess(22), { from: '198.51.100.1' })).statusCode).toBe(401);
    });

    it('count for the address that a trusted proxy names, and for no other', async () => {
      const behind = await replica({ TRUST_PROXY: '10.0.0.0/8' });
      const via = (proxy: string, client: string) =>
        behind.inject({
          url: '/v1/batches',
          remoteAddress: proxy,
          headers: { authorization: `Bearer ${guess(1)}`, 'x-forwarded-for': client },
        });
      for (let n = 0; n < 20; n += 1) expect((await via('10.0.0.1', `spoofed, 203.0.113.1`)).statusCode).toBe(401);
      expect((await via('10.0.0.2', '203.0.113.1')).statusCode).toBe(429);
      expect((await via('10.0.0.2', '203.0.113.2')).statusCode).toBe(401);
      for (let n = 0; n < 20; n += 1) expect((await via('203.0.113.9', `198.51.100.${n}`)).statusCode).toBe(401);
      expect((await via('203.0.113.9', '198.51.100.77')).statusCode).toBe(429);
    });
  });

  it('may ask so often a second as the operator says, each for itself', async () => {
    const limited = await replica({ RATE_LIMIT_PER_SECOND: '2' });
    const { key } = await create('other', 'stock:read');
    const first = await ask(limited, full);
    expect(first.headers).toMatchObject({ 'ratelimit-policy': '"requests";q=2;w=1', ratelimit: '"requests";r=1;t=1' });
    expect((await ask(limited, full)).statusCode).toBe(200);
    const refused = await ask(limited, full);
    expect([refused.statusCode, refused.json().code, refused.headers['retry-after']]).toEqual([
      429,
      'rate-limited',
      '1',
    ]);
    expect(refused.headers.ratelimit).toBe('"requests";r=0;t=1');
    expect((await ask(limited, key)).statusCode).toBe(200);
    expect((await ask(limited, undefined, { url: '/health/live' })).statusCode).toBe(200);
    now += 500;
    expect((await ask(limited, full)).statusCode).toBe(200);
  });
});

describe('Without a credential, the service', () => {
  let db: TestDatabase;
  const apps: NestFastifyApplication[] = [];
  const begin = async (env: NodeJS.ProcessEnv): Promise<NestFastifyApplication> => {
    const app = await startService(db.url, env);
    apps.push(app);
    app.get(ApiKeys).now = () => now;
    await app.get(Authorization).begin();
    return app;
  };
  beforeAll(async () => (db = await freshDatabase()));
  afterAll(async () => {
    await Promise.all(apps.map((each) => each.close()));
    await db.drop();
  });

  it('serves this machine, and begins on no other address unless that is allowed by name', async () => {
    expect((await (await begin({})).inject('/v1/batches')).statusCode).toBe(200);
    await expect(begin({ HOST: '0.0.0.0' })).rejects.toThrow('ALLOW_UNAUTHENTICATED=true');
    expect((await apps.at(-1)!.inject('/v1/batches')).statusCode).toBe(401);
    const allowed = await begin({ HOST: '0.0.0.0', ALLOW_UNAUTHENTICATED: 'true' });
    expect((await allowed.inject('/v1/batches')).statusCode).toBe(200);
    const configured = await begin({ HOST: '0.0.0.0', API_KEYS: `shop allocate ${secret}` });
    expect((await configured.inject('/v1/batches')).statusCode).toBe(401);
  });

  describe('and with no word that others may reach it,', () => {
    const from = (app: NestFastifyApplication, headers: Record<string, string>, url = '/v1/batches') =>
      app.inject({ url, headers });

    it.each(['localhost', 'LOCALHOST:3000', '127.0.0.1:3000', '127.8.9.10:80', '[::1]:3000'])(
      'answers who calls it %s, and the pages of this machine',
      async (host) => {
        for (const origin of [`http://${host}`, 'http://localhost:5173'])
          expect((await from(apps[0]!, { host, origin })).statusCode).toBe(200);
      },
    );

    const elsewhere = [
      'shop.example',
      'shop.example:3000',
      'localhost.shop.example:3000',
      '127.0.0.1.shop.example',
      '127.0.0.1:3000.shop.example',
      '0.0.0.0:3000',
      '10.0.0.1',
      '[::2]',
    ];

    it.each([
      ...elsewhere.map((host) => ({ host })),
      ...[...elsewhere.map((host) => `http://${host}`), 'https://shop.example', 'null'].map((origin) => ({
        host: '127.0.0.1:3000',
        origin,
      })),
    ])('answers no page of elsewhere that a browser here shows: %j', async (headers) => {
      const refused = await from(apps[0]!, headers);
      expect([refused.statusCode, refused.json().code]).toEqual([403, 'not-local']);
      const { statusCode } = await apps[0]!.inject({
        method: 'POST',
        url: '/v1/admin/dead-letters/1/discard',
        headers,
      });
      expect(statusCode).toBe(403);
      expect(Object.keys((await from(apps[0]!, headers, '/allocations/o1')).json())).toEqual(['message']);
      expect((await from(apps[0]!, headers, '/health/live')).statusCode).toBe(200);
    });

    it('leaves it to whoever gave that word, or needs a credential, by what name it is called', async () => {
      const headers = { host: 'shop.example', origin: 'https://shop.example' };
      const allowed = await begin({ ALLOW_UNAUTHENTICATED: 'true' });
      expect((await from(allowed, headers)).statusCode).toBe(200);
      const closed = await begin({ API_KEYS: `shop stock:read ${secret}` });
      expect((await from(closed, { ...headers, authorization: `Bearer ${secret}` })).statusCode).toBe(200);
    });
  });

  it('lets every address ask so often a second as the operator says', async () => {
    const limited = await begin({ RATE_LIMIT_PER_SECOND: '2' });
    const askedFrom = async (remoteAddress: string) =>
      (await limited.inject({ url: '/v1/batches', remoteAddress })).statusCode;
    const [one, other] = ['2001:db8:0:1::1', '2001:db8:0:2::1'];
    expect([await askedFrom(one), await askedFrom('2001:db8:0:1::2'), await askedFrom(one)]).toEqual([200, 200, 429]);
    expect(await askedFrom(other)).toBe(200);
    now += 500;
    expect(await askedFrom(one)).toBe(200);
  });

  it('stays closed when its last key is revoked', async () => {
    const client = await db.client();
    await client.query(`
      INSERT INTO platform.api_key (id, name, digest, scopes, revoked_at)
      VALUES ('0123456789ab', 'gone', sha256('gone'), '{ops}', now())`);
    const closed = await begin({ HOST: '0.0.0.0' });
    expect((await closed.inject('/v1/batches')).statusCode).toBe(401);
    now += 5001;
    expect((await apps[0]!.inject('/v1/batches')).statusCode).toBe(401);
  });
});

describe('An answer that goes on', () => {
  it('ends when its credential is no longer valid, and not before', async () => {
    let revoked = false;
    const chunks = new PassThrough();
    @Controller('stream')
    class StreamController {
      @Get()
      @Endpoint('stream', { summary: 'Stream', scope: 'events:read', answers: {} })
      stream(): StreamableFile {
        return new StreamableFile(chunks);
      }
    }
    @Module({ imports: [Edge.with()], controllers: [StreamController] })
    class Streaming {}
    const app = await startApp(Streaming);
    const row = {
      id: '0123456789ab',
      name: 'reader',
      scopes: ['events:read'],
      digest: digestOf(secret),
      expiresIn: null,
    };
    const database = app.get(Database, { strict: false });
    jest.spyOn(database, 'query').mockImplementation(() => Promise.resolve([{ ...row, revoked }]));
    app.get(ApiKeys).now = () => now;
    const port = await listen(app);
    chunks.write('one');
    const answer = await fetch(`http://127.0.0.1:${port}/stream`, { headers: { authorization: `Bearer ${secret}` } });
    const reader = answer.body!.getReader();
    const look = async (): Promise<void> => {
      now += 2000;
      await app.get(UnfinishedAnswers).look();
    };
    expect(Buffer.from((await reader.read()).value).toString()).toBe('one');
    await look();
    await look();
    chunks.write('two');
    expect(Buffer.from((await reader.read()).value).toString()).toBe('two');
    revoked = true;
    const cut = expect(reader.read()).rejects.toThrow();
    await look();
    await look();
    await cut;
    await app.close();
  });
});

describe('A route that does not say which scope it needs', () => {
  it('keeps the service from starting', async () => {
    @Controller('forgotten')
    class ForgottenController {
      @Get()
      read(): string {
        return 'a secret';
      }
    }
    @Module({ imports: [Edge.with()], controllers: [ForgottenController] })
    class Forgetful {}
    await expect(startApp(Forgetful)).rejects.toThrow('GET /forgotten does not say which scope it needs');
  });
});

describe('Security headers', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => (app = await startApp(Edge.with())));
  afterAll(() => app.close());

  it('let no browser show, and no cache keep, what is answered', async () => {
    for (const url of ['/v1/nothing', '/v1/batches?limit=0', '/v1/batches/%zz', '/metrics']) {
      const { headers } = await app.inject(url);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
      });
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });

  it('let the explorer run what it brings along and nothing else, and it brings along all it needs', async () => {
    const { headers, body } = await app.inject('/docs');
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/script-src 'self';.*connect-src 'self'/);
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    const scripts = [...body.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
    expect(scripts.length).toBeGreaterThan(1);
    for (const [, attributes, inline] of scripts) {
      expect([/src="\.\/docs\//.test(attributes!), inline!.trim()]).toEqual([true, '']);
      const { statusCode, headers } = await app.inject(`/${/src="\.\/(.+?)"/.exec(attributes!)![1]}`);
      expect([statusCode, headers['content-security-policy']]).toEqual([200, policy]);
    }
    expect(body).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
    const settings = (await app.inject('/docs/swagger-ui-init.js')).body;
    expect(settings).toMatch(/"persistAuthorization": true/);
    expect((await app.inject('/docs/openapi.json')).json().components.securitySchemes).toEqual({
      apiKey: expect.objectContaining({ type: 'http', scheme: 'bearer' }),
      accessToken: expect.objectContaining({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' }),
    });
  });
});
