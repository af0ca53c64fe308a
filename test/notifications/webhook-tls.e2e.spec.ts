import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CertificateAuthority } from '../support/certificates';
import { WebhookSink } from './webhook-sink';

const script = join(__dirname, 'post-over-tls.mjs');

describe('A POST to a webhook over TLS', () => {
  const authority = new CertificateAuthority();
  const sinks: WebhookSink[] = [];
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'batchwise-tls-'));
    await writeFile(join(directory, 'authority.pem'), authority.cert);
  });
  afterEach(() => Promise.all(sinks.splice(0).map((sink) => sink.stop())));
  afterAll(() => rm(directory, { recursive: true }));

  /** An endpoint for a host, which an authority vouches for. */
  const endpoint = async (host: string, by = authority): Promise<WebhookSink> => {
    const sink = await new WebhookSink(by.certify(host)).start();
    sinks.push(sink);
    return sink;
  };
  /** Posts as the built service does, which trusts the authority. Every name leads to 127.0.0.1. */
  const post = async (...urls: string[]): Promise<{ outcomes: (number | string)[]; lookedUp: string[] }> => {
    const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: join(directory, 'authority.pem') };
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...urls], { env });
    return JSON.parse(stdout) as { outcomes: (number | string)[]; lookedUp: string[] };
  };

  it('asks the address that was judged for the host of the URL, and believes the certificate of that host', async () => {
    const sink = await endpoint('hooks.shop.test');
    const { outcomes, lookedUp } = await post(
      `https://hooks.shop.test:${sink.port}/events`,
      `https://HOOKS.shop.test:${sink.port}/events`,
    );
    expect(outcomes).toEqual([204, 204]);
    expect(lookedUp).toEqual(['hooks.shop.test', 'hooks.shop.test']);
    for (const { serverName, headers } of sink.received)
      expect([serverName, headers.host]).toEqual(['hooks.shop.test', `hooks.shop.test:${sink.port}`]);
  });

  it('may go to an address that has a certificate', async () => {
    const { port, received } = await endpoint('127.0.0.1');
    expect((await post(`https://127.0.0.1:${port}/`)).outcomes).toEqual([204]);
    expect(received.map(({ serverName, headers }) => [serverName, headers.host])).toEqual([
      [undefined, `127.0.0.1:${port}`],
    ]);
  });

  it('tells nothing to one that has the certificate of another host', async () => {
    const [other, address] = [await endpoint('other.shop.test'), await endpoint('127.0.0.1')];
    const { outcomes } = await post(
      `https://hooks.shop.test:${other.port}/`,
      `https://127.0.0.1:${other.port}/`,
      `https://hooks.shop.test:${address.port}/`,
      // What one host has proved counts for no other one on the same port.
      `https://other.shop.test:${other.port}/`,
      `https://hooks.shop.test:${other.port}/`,
    );
    const mismatch = expect.stringContaining("does not match certificate's altnames");
    expect(outcomes).toEqual([mismatch, mismatch, mismatch, 204, mismatch]);
    expect(other.received.map(({ serverName }) => serverName)).toEqual(['other.shop.test']);
    expect(address.received).toEqual([]);
  });

  it('tells nothing to one that nobody vouches for', async () => {
    // Of the same name: what counts is the signature.
    const sink = await endpoint('hooks.shop.test', new CertificateAuthority());
    const { outcomes } = await post(`https://hooks.shop.test:${sink.port}/`);
    expect(outcomes).toEqual([expect.stringMatching(/signature|unable to verify|self-signed/)]);
    expect(sink.received).toEqual([]);
  });

  it('tells nothing to one that speaks no TLS', async () => {
    const sink = await new WebhookSink().start();
    sinks.push(sink);
    expect((await post(`https://hooks.shop.test:${sink.port}/`)).outcomes).toEqual([expect.stringContaining('SSL')]);
    expect(sink.received).toEqual([]);
  });
});
