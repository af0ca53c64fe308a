import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { Overloaded } from '../../src/kernel/unit-of-work';
import { Config, InvalidConfig } from '../../src/platform/config';
import { inNetworks, isNetwork, ownerOf } from '../../src/platform/credentials/address';
import { digestOf, idOfApiKey, newApiKey } from '../../src/platform/credentials/api-key';
import { ApiKeys } from '../../src/platform/credentials/api-keys';
import { configuredKeys } from '../../src/platform/credentials/configured-keys';
import { Refused } from '../../src/platform/credentials/credential';
import { RateLimit } from '../../src/platform/credentials/rate-limit';

const secret = 'a-secret-that-nobody-else-may-know';

describe('An API key', () => {
  it('names itself by an id, has 256 random bits, and is kept as its SHA-256', () => {
    const [first, second] = [newApiKey(), newApiKey()];
    expect(first.key).toMatch(/^bw_[0-9a-f]{12}_[\w-]{43}$/);
    expect(idOfApiKey(first.key)).toBe(first.id);
    expect(Buffer.from(first.key.slice(16), 'base64url')).toHaveLength(32);
    expect(first.id).not.toBe(second.id);
    expect(first.key.slice(16)).not.toBe(second.key.slice(16));
    expect(digestOf(first.key)).toBe(createHash('sha256').update(first.key).digest('hex'));
  });

  it('is told from whatever else may be shown', () => {
    const { key } = newApiKey();
    for (const other of ['', 'bw_', key.slice(0, -1), `${key}x`, key.toUpperCase(), ` ${key}`, 'a.b.c'])
      expect(idOfApiKey(other)).toBeUndefined();
  });
});

describe('Keys of the configuration', () => {
  const digest = digestOf(secret);

  it('are written by line or semicolon, as they are or as their hashes, with remarks between them', () => {
    const shop = { name: 'shop', grants: ['allocate', 'stock:read'], digest };
    expect(configuredKeys(`shop allocate,stock:read ${secret}`)).toEqual([shop]);
    expect(configuredKeys(`\n# for the shop\n shop  allocate,stock:read\tsha256:${digest}\r\n`)).toEqual([shop]);
    expect(configuredKeys(`shop allocate,stock:read ${secret}; ops ops ${secret}2;`)).toEqual([
      shop,
      { name: 'ops', grants: ['ops'], digest: digestOf(`${secret}2`) },
    ]);
    expect(configuredKeys(' \n')).toEqual([]);
  });

  it.each([
    ['an unknown scope', `shop stock:steal ${secret}`],
    ['the scope public', `shop public ${secret}`],
    ['no scope', `shop  ${secret}`],
    ['an empty scope', `shop ops, ${secret}`],
    ['a short key', 'shop ops 31-characters-are-not-enough-ok'],
    ['a hash that is none', `shop ops sha256:${digest.slice(1)}`],
    ['a strange name', `sh/op ops ${secret}`],
    ['a fourth word', `shop ops ${secret} please`],
    ['one key twice', `shop ops ${secret}; other ops sha256:${digest}`],
  ])('are refused with %s, all together, and never repeated', (_, API_KEYS) => {
    expect(configuredKeys(API_KEYS)).toBeUndefined();
    try {
      Config.load({ API_KEYS });
      throw new Error('not refused');
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidConfig);
      expect((error as InvalidConfig).problems).toEqual([expect.stringContaining('API_KEYS')]);
      expect((error as Error).message).not.toContain(secret);
    }
  });
});

describe('Config, about credentials,', () => {
  const problems = (env: NodeJS.ProcessEnv): string => {
    try {
      Config.load(env);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('wants an issuer that cannot be imitated on the way, and an audience', () => {
    const OIDC_AUDIENCE = 'batchwise';
    for (const OIDC_ISSUER of [
      'https://login.example.com/',
      'http://127.0.0.1:9',
      'http://localhost:9',
      'http://[::1]:9',
    ])
      expect(Config.load({ OIDC_ISSUER, OIDC_AUDIENCE }).tokenIssuer).toEqual({
        issuer: OIDC_ISSUER,
        audience: OIDC_AUDIENCE,
      });
    expect(problems({ OIDC_ISSUER: 'http://login.example.com', OIDC_AUDIENCE })).toContain('OIDC_ISSUER is');
    expect(problems({ OIDC_ISSUER: 'https://login.example.com' })).toContain('OIDC_AUDIENCE is not set');
  });

  it('reads proxies as addresses and networks, and keys from a file that must be there', () => {
    expect(Config.load({ TRUST_PROXY: '10.0.0.0/8, ::1' }).trustedProxies).toEqual(['10.0.0.0/8', '::1']);
    for (const TRUST_PROXY of ['true', '10.0.0.0/33', '::1/129', '10.0.0/8', '10.0.0.1/', '1.1.1.1/1/1'])
      expect(problems({ TRUST_PROXY })).toContain('TRUST_PROXY is');
    expect(problems({ API_KEYS_FILE: '/nowhere/keys' })).toContain('API_KEYS_FILE is "/nowhere/keys"');
  });
});

describe('An address', () => {
  it('is in a network or not', () => {
    const trusted = inNetworks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
    const inside = ['10.1.2.3', '192.0.2.7', '2001:db8:1::5', '::ffff:10.1.2.3'];
    expect(inside.filter((address) => !trusted(address))).toEqual([]);
    expect(['11.0.0.1', '192.0.2.8', '2001:db9::1', '::ffff:11.0.0.1', '', 'unknown'].filter(trusted)).toEqual([]);
    expect(isNetwork('10.0.0.0/8')).toBe(true);
  });

  it('stands for its owner', () => {
    expect(ownerOf('192.0.2.7')).toBe('192.0.2.7');
    expect(ownerOf('::ffff:192.0.2.7')).toBe('192.0.2.7');
    expect(ownerOf('2001:db8:0:1:a:b:c:d')).toBe(ownerOf('2001:db8::1:ffff:0:0:1'));
    expect(ownerOf('2001:db8:0:1::1')).not.toBe(ownerOf('2001:db8:0:2::1'));
    expect(ownerOf('x'.repeat(10_000))).toHaveLength(64);
  });
});

describe('A rate limit', () => {
  it('grants so many at once and so many in its time, to each for itself', () => {
    let now = 1e6;
    const limit = new RateLimit(3, 1000, () => now);
    expect([1, 2, 3].map(() => limit.take('a'))).toEqual([0, 0, 0]);
    expect(limit.left('a')).toBe(0);
    expect(limit.take('a')).toBeCloseTo(1000 / 3);
    expect(limit.take('b')).toBe(0);
    now += 334;
    expect([limit.take('a'), limit.take('a') > 0]).toEqual([0, true]);
    now += 1000;
    expect(limit.left('a')).toBe(3);
  });

  it('never grants more than twice its number in any span as long as its time, and refuses nobody who keeps to it', () => {
    const plan = fc.array(fc.tuple(fc.nat(400), fc.nat(5)), { maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), plan, (most, steps) => {
        let now = 0;
        const limit = new RateLimit(most, 1000, () => now);
        const granted: number[] = [];
        for (const [pause, tries] of steps) {
          now += pause;
          for (let n = 0; n < tries; n += 1) if (limit.take('a') === 0) granted.push(now);
          for (const from of granted)
            expect(granted.filter((at) => at >= from && at < from + 1000).length).toBeLessThanOrEqual(2 * most);
        }
        now += 1000;
        expect(Array.from({ length: most }, () => limit.take('a')).every((early) => early === 0)).toBe(true);
        expect(limit.take('a')).toBeGreaterThan(0);
      }),
    );
  });

  it('remembers no more than 20,000, the newest', () => {
    const limit = new RateLimit(1, 1000, () => 0);
    for (let n = 0; n <= 20_000; n += 1) limit.take(`${n}`);
    expect([limit.early('0'), limit.early('1')]).toEqual([0, 1000]);
  });
});

describe('What is known of the keys in the database', () => {
  const row = { id: '0123456789ab', name: 'shop', scopes: ['allocate'], digest: 'd', revoked: false, expiresIn: null };
  let now: number;
  let answer: () => Promise<object[]>;
  let looks: number;
  let keys: ApiKeys;

  beforeEach(() => {
    now = 1e6;
    looks = 0;
    answer = () => Promise.resolve([row]);
    const query = () => {
      looks += 1;
      return answer();
    };
    keys = new ApiKeys({ query } as never);
    keys.now = () => now;
  });

  it('is nothing before the first look, and then who it is', async () => {
    expect([keys.any, keys.find('d')]).toEqual([undefined, undefined]);
    await keys.look();
    expect(keys.any).toBe(true);
    expect(keys.find('d')).toEqual({ id: 'bw_0123456789ab', actor: 'key:shop', grants: new Set(['allocate']) });
    expect(keys.find('other')).toBeUndefined();
    expect(looks).toBe(1);
  });

  it('costs one look a second, however often it is asked and whatever is looked for', async () => {
    for (let n = 0; n < 50; n += 1) {
      await keys.look();
      keys.find(`unknown ${n}`);
    }
    expect(looks).toBe(1);
    now += 1000;
    for (let n = 0; n < 50; n += 1) keys.find('d');
    await keys.look();
    expect(looks).toBe(2);
  });

  it('holds for five seconds while the database does not answer, and not longer', async () => {
    await keys.look();
    answer = () => Promise.reject(new Error('out of reach'));
    now += 5000;
    await keys.look();
    expect(keys.find('d')).toBeDefined();
    now += 1;
    expect([keys.any, keys.find('d')]).toEqual([undefined, undefined]);
    await expect(keys.look()).rejects.toBeInstanceOf(Overloaded);
    answer = () => Promise.resolve([row]);
    now += 1000;
    await keys.look();
    expect(keys.find('d')).toBeDefined();
  });

  it('counts from when the database was asked, not from when it answered', async () => {
    let answered = (_: object[]): void => undefined;
    answer = () => new Promise((resolve) => (answered = resolve));
    const looked = keys.look();
    now += 5001;
    answered([row]);
    await expect(looked).rejects.toBeInstanceOf(Overloaded);
  });

  it('says of a key that it is revoked, or has expired since', async () => {
    answer = () =>
      Promise.resolve([
        { ...row, digest: 'revoked', revoked: true },
        { ...row, digest: 'expiring', expiresIn: 3000 },
        { ...row, digest: 'expired', expiresIn: -1 },
      ]);
    await keys.look();
    expect(() => keys.find('revoked')).toThrow(Refused);
    expect(() => keys.find('expired')).toThrow('key bw_0123456789ab is expired');
    expect(keys.find('expiring')).toBeDefined();
    now += 3000;
    expect(() => keys.find('expiring')).toThrow(Refused);
  });
});
