import { lookup as lookUp } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AllowedTarget } from '../../platform/allow-list';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Nothing may be sent there. */
export class DestinationRefused extends Error {}

/** How names are looked up: all addresses of a host. */
export type LookUpAll = (
  host: string,
  options: { readonly all: true },
  callback: (error: Error | null, addresses: { address: string; family: number }[]) => void,
) => void;

const globalIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Whether it is an address of the public internet and of one machine there; never one that wraps another one. */
const isPublic = (address: Address): boolean =>
  address.range() === 'unicast' && (address instanceof ipaddr.IPv4 || address.match(globalIpv6));

/**
 * Where webhooks may lead: over https to addresses of the public internet, and wherever the operator allows. What counts is
 * the address that is connected to, so a name that leads elsewhere the next time gains nothing.
 */
export class Destinations {
  constructor(
    private readonly allowed: readonly AllowedTarget[],
    private readonly lookUpAll: LookUpAll = lookUp,
  ) {}

  /** What is wrong with a URL, as far as can be told without looking up its host; undefined: nothing. */
  objectionTo(text: string): string | undefined {
    if (!URL.canParse(text)) return 'it is no URL';
    const url = new URL(text);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'it is neither https nor http';
    if (url.username !== '' || url.password !== '') return 'it contains credentials';
    const { host, port } = targetOf(url);
    if (isIP(host)) return this.objectionToAddress(url, host);
    if (url.protocol === 'https:') return undefined;
    // Whether the address is in an allowed range is seen when the name is looked up.
    const mayBe = this.allowed.some((target) => (target.range || target.host === host) && fits(target, port));
    return mayBe ? undefined : 'http is for destinations that the operator allows; use https';
  }

  /** @throws DestinationRefused; the host's addresses are judged by {@link lookupFor} */
  require(url: URL): void {
    const objection = this.objectionTo(url.href);
    if (objection !== undefined) throw new DestinationRefused(objection);
  }

  /** Looks a host up for a connection, and fails if any of its addresses may not be connected to. */
  lookupFor(url: URL): LookupFunction {
    return (host, options, callback) => {
      this.lookUpAll(host, { ...options, all: true }, (error, addresses) => {
        const [first] = addresses ?? [];
        if (error || !first) return callback(error ?? new Error(`${host} has no address`), []);
        for (const { address } of addresses) {
          const objection = this.objectionToAddress(url, address);
          if (objection !== undefined) return callback(new DestinationRefused(objection), []);
        }
        if (options.all) callback(null, addresses);
        else callback(null, first.address, first.family);
      });
    };
  }

  private objectionToAddress(url: URL, text: string): string | undefined {
    if (!ipaddr.isValid(text)) return `${text} is not an address`;
    const address = ipaddr.parse(text);
    const { host, port } = targetOf(url);
    const isAllowed = this.allowed.some(
      (target) => fits(target, port) && (target.host === host || isWithin(address, target.range)),
    );
    if (isAllowed) return undefined;
    if (!isPublic(address)) return `${text} is not an address of the public internet`;
    return url.protocol === 'https:' ? undefined : 'http is for destinations that the operator allows; use https';
  }
}

const fits = (target: AllowedTarget, port: number): boolean => target.port === undefined || target.port === port;

function isWithin(address: Address, range: AllowedTarget['range']): boolean {
  if (!range) return false;
  const [start, bits] = range;
  if (address instanceof ipaddr.IPv4) return start instanceof ipaddr.IPv4 && address.match(start, bits);
  return start instanceof ipaddr.IPv6 && address.match(start, bits);
}

/** Whom a URL names; numbers in other notations were made addresses when it was parsed. */
function targetOf({ hostname, port, protocol }: URL): { host: string; port: number } {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return { host, port: Number(port) || (protocol === 'https:' ? 443 : 80) };
}
