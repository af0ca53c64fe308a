import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { Allocate } from '../../src/allocation/contract/commands';
import { ApiKeys } from '../../src/platform/credentials/api-keys';
import { currentContext } from '../../src/platform/request-context';
import { startApp } from '../support/app';
import { Edge, Script } from '../support/edge';

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

const audience = 'batchwise';
const line = { orderId: 'o1', sku: 'TABLE', qty: 1 };
const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/** An OpenID provider, as far as its keys go. */
class Issuer {
  readonly keys = new Map<string, Pair>();
  asked = 0;
  down = false;
  lies = false;
  #server!: Server;

  async start(): Promise<void> {
    await this.rotate('first');
    this.#server = createServer(({ url: path }, answer) => {
      void this.#answer(path).then(([status, body]) => answer.writeHead(status).end(JSON.stringify(body)));
    });
    await new Promise<void>((listening) => this.#server.listen(0, '127.0.0.1', listening));
  }

  stop(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((closed) => this.#server.close(closed));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/realm`;
  }

  async rotate(kid: string): Promise<void> {
    this.keys.set(kid, await generateKeyPair('ES256', { extractable: true }));
  }

  async #answer(path: string | undefined): Promise<[status: number, body: object]> {
    this.asked += 1;
    if (this.down) return [503, {}];
    if (path === '/realm/.well-known/openid-configuration')
      return [200, { issuer: this.lies ? 'http://127.0.0.1:1' : this.url, jwks_uri: `${this.url}/keys` }];
    if (path !== '/realm/keys') return [404, {}];
    const keys = [...this.keys].map(async ([kid, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      kid,
      use: 'sig',
    }));
    return [200, { keys: await Promise.all(keys) }];
  }
}

describe('Access tokens', () => {
  const issuer = new Issuer();
  let now = 1e6;
  let app: NestFastifyApplication;
  const apps: NestFastifyApplication[] = [];

  const service = async (): Promise<NestFastifyApplication> => {
    const started = await startApp(Edge.with({ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: audience }));
    started.get(ApiKeys).now = () => now;
    started.get(Script).on(Allocate, () => currentContext());
    apps.push(started);
    return started;
  };

  /** Now, in seconds since 1970. */
  const today = (): number => Math.floor(Date.now() / 1000);

  const claims = () => ({
    iss: issuer.url,
    aud: audience,
    sub: 'auth0|buyer-7',
    exp: today() + 600,
    scope: 'allocate',
  });

  const token = (changes: object = {}, header: object = {}, by = issuer.keys.get('first')!): Promise<string> =>
    new SignJWT({ ...claims(), ...changes })
      .setProtectedHeader({ alg: 'ES256', kid: 'first', typ: 'at+jwt', ...header })
      .sign(by.privateKey, { crit: { 'made-up': true } });

  let asking = 0;
  /** From another address every time, so that nobody is limited. */
  const allocate = (credential: string, of = app) =>
    of.inject({
      method: 'POST',
      url: '/v1/allocations',
      payload: line,
      remoteAddress: `10.0.${(asking >> 8) & 255}.${(asking += 1) & 255}`,
      headers: { authorization: `Bearer ${credential}` },
    });

  beforeAll(async () => {
    await issuer.start();
    app = await service();
  });
  afterAll(async () => {
    await Promise.all(apps.map((each) => each.close()));
    await issuer.stop();
  });

  it.each<[string, () => object, object]>([
    ['as RFC 9068 has them', () => ({}), {}],
    ['of the type JWT', () => ({}), { typ: 'JWT' }],
    ['of no type', () => ({}), { typ: undefined }],
    ['for several audiences', () => ({ aud: ['other', audience] }), {}],
    ['with scp as a list', () => ({ scope: undefined, scp: ['openid', 'allocate'] }), {}],
    ['with scp as a text', () => ({ scope: undefined, scp: 'openid allocate' }), {}],
    ['that ran out a moment ago, by clocks that differ', () => ({ exp: today() - 10 }), {}],
  ])('%s are taken, and name who acts', async (_, changes, header) => {
    const answer = await allocate(await token(changes(), header));
    expect(answer.json()).toMatchObject({ actor: 'sub:auth0|buyer-7' });
  });

  it('without the scope are refused for that', async () => {
    for (const scope of ['stock:read openid', '', 'allocate2', [5]]) {
      const answer = await allocate(await token({ scope }));
      expect([answer.statusCode, answer.json().code]).toEqual([403, 'forbidden']);
    }
  });

  it.each<[string, () => string | Promise<string>]>([
    ['with alg none', () => `${encoded({ alg: 'none', typ: 'at+jwt' })}.${encoded(claims())}.`],
    ['with alg none and a signature', () => `${encoded({ alg: 'none', kid: 'first' })}.${encoded(claims())}.c2ln`],
    [
      'signed with HS256 and the public key as its secret',
      async () => {
        const input = `${encoded({ alg: 'HS256', kid: 'first', typ: 'at+jwt' })}.${encoded(claims())}`;
        const publicKey = await exportSPKI(issuer.keys.get('first')!.publicKey);
        return `${input}.${createHmac('sha256', publicKey).update(input).digest('base64url')}`;
      },
    ],
    ['for another audience', () => token({ aud: 'elsewhere' })],
    ['for no audience', () => token({ aud: undefined })],
    ['of another issuer', () => token({ iss: 'http://127.0.0.1:1' })],
    ['of the issuer with a slash more', () => token({ iss: `${issuer.url}/` })],
    ['that have expired', () => token({ exp: today() - 60 })],
    ['that never expire', () => token({ exp: undefined })],
    ['that are not valid yet', () => token({ nbf: today() + 60 })],
    ['of nobody', () => token({ sub: undefined })],
    ['of a subject with strange characters', () => token({ sub: 'a\r\nb' })],
    ['of a subject that is too long', () => token({ sub: 'x'.repeat(256) })],
    ['of another type', () => token({}, { typ: 'logout+jwt' })],
    ['with a header that must be understood', () => token({}, { crit: ['made-up'], 'made-up': 1 })],
    ['signed by somebody else', async () => token({}, {}, await generateKeyPair('ES256'))],
    ['signed by an unknown key', async () => token({}, { kid: 'unknown' }, await generateKeyPair('ES256'))],
    [
      'with changed claims',
      async () => (await token()).replace(/\.[^.]+\./, `.${encoded({ ...claims(), sub: 'root' })}.`),
    ],
    ['without a signature', async () => (await token()).replace(/[^.]+$/, '')],
    ['that are no tokens', () => 'eyJ.eyJ.eyJ'],
  ])('%s are refused', async (_, made) => {
    const answer = await allocate(await made());
    expect([answer.statusCode, answer.json().code]).toEqual([401, 'unauthenticated']);
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('are verified once a minute, and not taken from memory once they have expired', async () => {
    const short = await token({ exp: today() + 20 });
    expect((await allocate(short)).statusCode).toBe(201);
    now += 25_000;
    // The token's own time is that of the wall clock, by which it is valid: it is verified again.
    const keys = jest.spyOn(crypto.subtle, 'verify');
    expect((await allocate(short)).statusCode).toBe(201);
    expect(keys).toHaveBeenCalledTimes(1);
    expect((await allocate(short)).statusCode).toBe(201);
    expect(keys).toHaveBeenCalledTimes(1);
    keys.mockRestore();
  });

  it('of a new key of the issuer are taken, and of unknown ones cost no more than two questions a minute', async () => {
    await issuer.rotate('second');
    now += 30_000;
    const before = issuer.asked;
    for (let n = 0; n < 5; n += 1) {
      const unknown = await token({}, { kid: `unknown-${n}` });
      expect((await allocate(unknown)).statusCode).toBe(401);
    }
    // The discovery document and the keys.
    expect(issuer.asked - before).toBe(2);
    expect((await allocate(await token({}, { kid: 'second' }, issuer.keys.get('second')))).statusCode).toBe(201);
    await issuer.rotate('third');
    const third = await token({}, { kid: 'third' }, issuer.keys.get('third'));
    expect((await allocate(third)).statusCode).toBe(401);
    now += 30_000;
    expect((await allocate(third)).statusCode).toBe(201);
    expect(issuer.asked - before).toBe(4);
  });

  it('are taken for a day while the issuer does not answer, but no longer', async () => {
    issuer.down = true;
    now += 60 * 60_000;
    expect((await allocate(await token({ jti: '1' }))).statusCode).toBe(201);
    expect((await allocate(await token({}, { kid: 'unknown' }))).statusCode).toBe(401);
    now += 24 * 60 * 60_000;
    const refused = await allocate(await token({ jti: '2' }));
    expect([refused.statusCode, refused.json().code]).toEqual([503, 'issuer-unavailable']);
    issuer.down = false;
    now += 1000;
    expect((await allocate(await token({ jti: '2' }))).statusCode).toBe(201);
  });

  it('can not be judged before the issuer has told its keys, which is no fault of theirs', async () => {
    const fresh = await service();
    issuer.down = true;
    const early = await allocate(await token(), fresh);
    expect([early.statusCode, early.json().code, early.headers['retry-after']]).toEqual([
      503,
      'issuer-unavailable',
      '1',
    ]);
    issuer.down = false;
    issuer.lies = true;
    now += 1000;
    expect((await allocate(await token(), fresh)).statusCode).toBe(503);
    issuer.lies = false;
    now += 1000;
    expect((await allocate(await token(), fresh)).statusCode).toBe(201);
  });

  it('are taken, new ones too, from an address whose wrong ones have to wait', async () => {
    const shared = async (credential: string) => {
      const headers = { authorization: `Bearer ${credential}` };
      const payload = line;
      return (
        await app.inject({ method: 'POST', url: '/v1/allocations', payload, headers, remoteAddress: '192.0.2.9' })
      ).statusCode;
    };
    const expired = await token({ exp: today() - 60 });
    for (let n = 0; n < 20; n += 1) expect(await shared(expired)).toBe(401);
    expect(await shared(expired)).toBe(429);
    const valid = await token({ jti: 'new' });
    expect(await shared(valid)).toBe(201);
    now += 60_001;
    for (let n = 0; n < 21; n += 1) await shared(expired);
    expect([await shared(expired), await shared(valid)]).toEqual([429, 201]);
  });

  it('are the only credentials that an issuer makes necessary', async () => {
    const { statusCode } = await app.inject({ method: 'POST', url: '/v1/allocations', payload: line });
    expect(statusCode).toBe(401);
  });
});
