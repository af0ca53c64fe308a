import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Destinations, type LookUpAll } from '../../src/notifications/messaging/destinations';
import { post } from '../../src/notifications/messaging/webhook-post';
import { parseAllowList } from '../../src/platform/allow-list';
import { Config, InvalidConfig } from '../../src/platform/config';
import { WebhookSink } from './webhook-sink';

const strict = new Destinations([]);
const allowing = (list: string, lookUpAll?: LookUpAll): Destinations =>
  new Destinations(parseAllowList(list)!, lookUpAll);
const answering =
  (...addresses: string[]): LookUpAll =>
  (_host, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
const send = (url: string, destinations: Destinations): Promise<number> =>
  post(new URL(url), {}, '{}', { destinations, signal: AbortSignal.timeout(5_000) });

describe('Destinations', () => {
  it.each([
    'https://example.com/hook',
    'https://example.com:8443/hook?a=b',
    'https://8.8.8.8/',
    'https://[2606:4700:4700::1111]/',
  ])('may be %s', (url) => {
    expect(strict.objectionTo(url)).toBeUndefined();
  });

  it.each([
    ['loopback', 'https://127.0.0.1/'],
    ['loopback', 'https://127.255.255.254/'],
    ['loopback in decimal', 'https://2130706433/'],
    ['loopback in octal', 'https://0177.0.0.1/'],
    ['loopback in hexadecimal', 'https://0x7f.1/'],
    ['loopback, cut short', 'https://127.1/'],
    ['loopback in full-width digits', 'https://１２７.０.０.１/'],
    ['loopback with a dot behind', 'https://127.0.0.1./'],
    ['loopback', 'https://[::1]/'],
    ['this host', 'https://0.0.0.0/'],
    ['this network', 'https://0.1.2.3/'],
    ['this host', 'https://[::]/'],
    ['private', 'https://10.0.0.1/'],
    ['private', 'https://172.16.0.1/'],
    ['private', 'https://172.31.255.255/'],
    ['private', 'https://192.168.1.1/'],
    ['link-local, where clouds keep their credentials', 'https://169.254.169.254/'],
    ['link-local', 'https://[fe80::1]/'],
    ['site-local', 'https://[fec0::1]/'],
    ['carrier-grade NAT', 'https://100.64.0.1/'],
    ['unique local', 'https://[fd00:ec2::254]/'],
    ['multicast', 'https://224.0.0.1/'],
    ['multicast', 'https://[ff02::1]/'],
    ['broadcast', 'https://255.255.255.255/'],
    ['reserved', 'https://240.0.0.1/'],
    ['documentation', 'https://192.0.2.1/'],
    ['benchmarks', 'https://198.18.0.1/'],
    ['IPv4 as IPv6', 'https://[::ffff:127.0.0.1]/'],
    ['public IPv4 as IPv6', 'https://[::ffff:8.8.8.8]/'],
    ['IPv4-compatible', 'https://[::7f00:1]/'],
    ['6to4 of a private address', 'https://[2002:0a00:0001::]/'],
    ['NAT64 of a private address', 'https://[64:ff9b::10.0.0.1]/'],
    ['local NAT64', 'https://[64:ff9b:1::1]/'],
    ['Teredo', 'https://[2001::1]/'],
    ['documentation', 'https://[2001:db8::1]/'],
    ['no address that anyone was given', 'https://[4000::1]/'],
  ])('may not be %s: %s', (_, url) => {
    expect(strict.objectionTo(url)).toMatch(/is not an address of the public internet$/);
  });

  it.each([
    ['http://example.com/', 'http is for destinations that the operator allows; use https'],
    ['http://8.8.8.8/', 'http is for destinations that the operator allows; use https'],
    ['https://user@example.com/', 'it contains credentials'],
    ['https://:password@example.com/', 'it contains credentials'],
    ['ftp://example.com/', 'it is neither https nor http'],
    ['file:///etc/passwd', 'it is neither https nor http'],
    ['javascript:alert(1)', 'it is neither https nor http'],
    ['https://', 'it is no URL'],
    ['https://999.1.1.1/', 'it is no URL'],
    ['somewhere', 'it is no URL'],
  ])('may not be %s: %s', (url, objection) => {
    expect(strict.objectionTo(url)).toBe(objection);
  });

  it.each([
    ['10.0.0.0/8', 'http://10.1.2.3:8080/'],
    ['10.0.0.0/8:8080', 'http://10.1.2.3:8080/'],
    ['127.0.0.1', 'https://127.0.0.1/'],
    ['fd00::/8', 'https://[fd00::17]/'],
    ['[fd00::17]:443', 'https://[fd00::17]/'],
    ['hooks.internal', 'http://hooks.internal/'],
    ['hooks.internal', 'http://HOOKS.internal./'],
    ['192.168.0.0/16, hooks.internal:8443', 'http://hooks.internal:8443/'],
    ['10.0.0.0/8', 'http://its.address.may.be.allowed/'],
  ])('may be, with WEBHOOK_ALLOW=%s, %s', (list, url) => {
    expect(allowing(list).objectionTo(url)).toBeUndefined();
  });

  it.each([
    ['10.0.0.0/8', 'http://11.1.2.3/'],
    ['10.0.0.0/8', 'https://192.168.0.1/'],
    ['10.0.0.0/8:8080', 'https://10.1.2.3:8081/'],
    ['10.0.0.0/8:8080', 'http://a.name:80/'],
    ['127.0.0.1', 'https://127.0.0.2/'],
    ['127.0.0.1', 'https://[::ffff:127.0.0.1]/'],
    ['hooks.internal:8443', 'http://hooks.internal/'],
    ['hooks.internal', 'http://evil.hooks.internal/'],
    ['hooks.internal', 'https://user@hooks.internal/'],
  ])('may not be, with WEBHOOK_ALLOW=%s, %s', (list, url) => {
    expect(allowing(list).objectionTo(url)).toBeDefined();
  });
});

describe('WEBHOOK_ALLOW', () => {
  it.each(['', ' , ', '10.0.0.0/8', '::1', 'fd00::/8', '[::1]:80', '[fd00::/8]:443', 'localhost:8080'])(
    'may be %j',
    (list) => {
      expect(Config.load({ WEBHOOK_ALLOW: list }).webhookAllow).toBeDefined();
    },
  );

  it.each([
    '10.0.0.0/33',
    '300.1.1.1',
    '1.2.3',
    'fd00::/129',
    '[::1]:70000',
    'host:port',
    'a/b',
    'https://a',
    '[host]:1',
    '*',
  ])('may not be %j', (list) => {
    expect(() => Config.load({ WEBHOOK_ALLOW: list })).toThrow(InvalidConfig);
  });
});

describe('A POST to a webhook', () => {
  let sink: WebhookSink;

  beforeEach(async () => {
    sink = await new WebhookSink().start();
  });
  afterEach(() => sink.stop());

  const at = (host: string): string => `http://${host}:${sink.port}/`;

  it('goes where it may go', async () => {
    expect(await send(at('127.0.0.1'), allowing('127.0.0.1'))).toBe(204);
    expect(await send(at('localhost'), allowing('127.0.0.1, ::1'))).toBe(204);
    expect(await send(at('localhost'), allowing('localhost'))).toBe(204);
    expect(sink.received).toHaveLength(3);
  });

  it('never reaches an address that is not allowed, be it by its number or by a name', async () => {
    const https = (host: string): string => at(host).replace('http:', 'https:');
    await expect(send(https('127.0.0.1'), strict)).rejects.toThrow(
      '127.0.0.1 is not an address of the public internet',
    );
    await expect(send(https('localhost'), strict)).rejects.toThrow('is not an address of the public internet');
    await expect(send(at('localhost'), allowing('10.0.0.0/8'))).rejects.toThrow('public internet');
    expect(sink.connections).toBe(0);
  });

  it('is refused if any of the addresses of a name is not allowed', async () => {
    const mixed = answering('93.184.216.34', '127.0.0.1');
    await expect(send(`https://example.com:${sink.port}/`, allowing('', mixed))).rejects.toThrow('127.0.0.1 is not');
    expect(sink.connections).toBe(0);
  });

  it('is refused if a name that may be http leads to the public internet', async () => {
    await expect(send('http://example.com/', allowing('10.0.0.0/8', answering('93.184.216.34')))).rejects.toThrow(
      'use https',
    );
  });

  it('connects to the address that was judged, whatever the name leads to the next time', async () => {
    let asked = 0;
    const rebinding: LookUpAll = (host, options, callback) => {
      asked += 1;
      answering(asked === 1 ? '127.0.0.1' : '127.0.0.2')(host, options, callback);
    };
    expect(await send(at('rebinding.test'), allowing('127.0.0.1', rebinding))).toBe(204);
    expect(asked).toBe(1);
    await expect(send(at('rebinding.test'), allowing('127.0.0.1', rebinding))).rejects.toThrow('127.0.0.2 is not');
    expect(sink.received).toHaveLength(1);
  });

  it('fails when a name has no address', async () => {
    const failing: LookUpAll = (_host, _options, callback) => callback(new Error('ENOTFOUND nowhere'), []);
    await expect(send('https://nowhere.test/', allowing('', failing))).rejects.toThrow('ENOTFOUND nowhere');
    await expect(send('https://nowhere.test/', allowing('', answering()))).rejects.toThrow('has no address');
  });

  it('uses no proxy, whatever the environment says', async () => {
    const proxy = createServer((_request, response) => response.end());
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const proxied = { HTTP_PROXY: url, http_proxy: url, ALL_PROXY: url, NODE_USE_ENV_PROXY: '1' };
    Object.assign(process.env, proxied);
    try {
      expect(await send(at('127.0.0.1'), allowing('127.0.0.1'))).toBe(204);
    } finally {
      for (const name of Object.keys(proxied)) delete process.env[name];
      proxy.close();
    }
    expect(sink.received).toHaveLength(1);
  });
});
