import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its key, as PEM. */
export interface Certified {
  readonly cert: string;
  readonly key: string;
}

/*
 * Node signs, but writes no certificates. This is DER, as far as X.509 needs it: a tag, the length, the content.
 */
const der = (tag: number, ...content: (Buffer | string)[]): Buffer => {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part as string)));
  const { length } = bytes;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), bytes]);
};
const sequence = (...content: Buffer[]): Buffer => der(0x30, ...content);
const bitString = (content: Buffer): Buffer => der(0x03, Buffer.of(0), content);
const objectId = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const extension = (id: string, value: Buffer): Buffer => sequence(objectId(id), der(0x04, value));
const time = (at: number): Buffer => der(0x18, `${new Date(at).toISOString().replaceAll(/[-:T]|\..*/g, '')}Z`);
const named = (name: string): Buffer => sequence(der(0x31, sequence(objectId('550403'), der(0x0c, name))));

const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'));
const isAuthority = extension('551d13', sequence(der(0x01, Buffer.of(0xff))));
const isFor = (host: string): Buffer =>
  extension(
    '551d11',
    sequence(isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, host)),
  );

function certificate(subject: string, key: KeyObject, issuer: string, by: KeyObject, extensions: Buffer): string {
  const day = 24 * 3_600_000;
  const content = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1), randomBytes(8)),
    ecdsaWithSha256,
    named(issuer),
    sequence(time(Date.now() - day), time(Date.now() + day)),
    named(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extensions)),
  );
  const signed = sequence(content, ecdsaWithSha256, bitString(sign('sha256', content, by)));
  return `-----BEGIN CERTIFICATE-----\n${signed.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

/** A certificate authority that nobody knows, made for one test: it vouches for hosts for a day. */
export class CertificateAuthority {
  /** What those must have who are to trust it. */
  readonly cert: string;
  private readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  constructor(private readonly name = 'Test authority') {
    this.cert = certificate(name, this.keys.publicKey, name, this.keys.privateKey, isAuthority);
  }

  /** @param host a name, or an address of IPv4 */
  certify(host: string): Certified {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { key, cert: certificate(host, publicKey, this.name, this.keys.privateKey, isFor(host)) };
  }
}
