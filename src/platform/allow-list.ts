import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Something that may be connected to although it is not public: a host by its name, or a range of addresses. */
export interface AllowedTarget {
  /** In lower case. */
  readonly host?: string;
  /** An address, and how many bits of it count. */
  readonly range?: readonly [Address, number];
  /** Undefined: any. */
  readonly port?: number;
}

/** What a port may be added to; an IPv6 address only in brackets. */
const withPort = /^(?:\[(?<ipv6>[^[\]]+)\]|(?<other>[^[\]:]+))(?::(?<port>\d{1,5}))?$/;
const hostName = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;

/**
 * Reads a list such as `10.0.0.0/8, hooks.internal:8443, [fd00::1]:443`.
 * @returns undefined if an entry is none of these
 */
export function parseAllowList(text: string): AllowedTarget[] | undefined {
  const targets = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseTarget);
  return targets.every((target) => target !== undefined) ? targets : undefined;
}

function parseTarget(text: string): AllowedTarget | undefined {
  const bare = parseRange(text);
  if (bare) return { range: bare };
  const { ipv6, other, port: digits } = withPort.exec(text.toLowerCase())?.groups ?? {};
  if (Number(digits ?? 1) > 65_535) return undefined;
  const port = digits !== undefined && { port: Number(digits) };
  const range = parseRange(ipv6 ?? other ?? '');
  if (range) return { range, ...port };
  return other !== undefined && hostName.test(other) && !/^[\d.]+$/.test(other) ? { host: other, ...port } : undefined;
}

function parseRange(text: string): readonly [Address, number] | undefined {
  const [address = '', bits] = text.split('/', 2);
  if (!(ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address))) return undefined;
  if (bits !== undefined) return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
  const whole = ipaddr.parse(address);
  return [whole, whole.toByteArray().length * 8];
}
