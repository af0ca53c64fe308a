import { BlockList, isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Longer than any address; a proxy passes on what it was told. */
const longest = 64;

/** Whether a text is written `10.0.0.1` or `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  if (more.length > 0 || !(isIPv4(address) || isIPv6(address))) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widthOf(address));
}

/** Tells of addresses whether they are in one of `networks`. */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = widthOf(address)] = network.split('/');
    list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return (address) => (isIPv4(address) ? list.check(address, 'ipv4') : isIPv6(address) && list.check(address, 'ipv6'));
}

const thisMachine = /^(?:https?:\/\/)?(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d*)?$/i;

/** Whether a `Host` or an `Origin` is this machine by a name that leads nowhere else. */
export const namesThisMachine = (text: string): boolean => thisMachine.test(text);

/** Whom an address stands for: whoever has one IPv6 address has all of its /64. */
export function ownerOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address.slice(0, longest);
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

const widthOf = (address: string): number => (isIPv4(address) ? 32 : 128);
