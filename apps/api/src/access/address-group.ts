import { isIPv6 } from 'node:net';

/** The first four groups of an IPv6 address, which may be shortened (`fd00::5`). */
const firstGroups = (address: string): string[] => {
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':').length : 0;
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after);
  return [...before, ...Array<string>(zeros).fill('0'), ...(tail ? tail.split(':') : [])].slice(0, 4);
};

/**
 * What one caller can change of its address stays in the group: an IPv4 address is a group of its own, an IPv6 address
 * belongs to its /64, since a single machine has all of them.
 */
export const addressGroup = (address: string): string => {
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  return isIPv6(address) ? `${firstGroups(address).join(':').toLowerCase()}::/64` : address;
};
