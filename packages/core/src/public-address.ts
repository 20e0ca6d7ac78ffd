import { BlockList, isIP } from 'node:net';

/**
 * What is not on the public internet. Source: https://www.iana.org/assignments/iana-ipv4-special-registry and, for
 * multicast and what is reserved, RFC 5771 and RFC 1112.
 */
const specialV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/**
 * The same among global unicast addresses, 2000::/3. Teredo and 6to4 are among them: they hold an IPv4 address.
 * Source: https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const specialV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

const listOf = (networks: readonly string[], family: 'ipv4' | 'ipv6'): BlockList => {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
};

const specialIPv4 = listOf(specialV4, 'ipv4');
const specialIPv6 = listOf(specialV6, 'ipv6');
const globalIPv6 = listOf(['2000::/3'], 'ipv6');

/**
 * Whether an IPv4 or IPv6 address is on the public internet: not of this machine, of a private network or link, and not
 * reserved. An IPv6 address that stands for an IPv4 address (`::ffff:8.8.8.8`) is not, whatever it stands for.
 */
export const isPublicAddress = (address: string): boolean => {
  const family = isIP(address);
  if (family === 4) return !specialIPv4.check(address, 'ipv4');
  if (family !== 6 || address.includes('%')) return false;
  return globalIPv6.check(address, 'ipv6') && !specialIPv6.check(address, 'ipv6');
};
