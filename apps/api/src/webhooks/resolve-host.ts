import { lookup, Resolver } from 'node:dns/promises';

/** Finds the addresses of a host. It rejects when there are none, and when the signal fires. */
export type ResolveHost = (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * Asks DNS without the system's resolver: that one works for four hosts at a time, and reads files with the same threads,
 * so a tenant's slow name server would stop the whole process.
 *
 * @param usesHostsFile whether the system is asked too, for names that only its hosts file has
 */
export const createResolveHost =
  (usesHostsFile: boolean): ResolveHost =>
  async (hostname, signal) => {
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const found = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
      const addresses = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
      if (addresses.length > 0) return addresses;
      if (usesHostsFile) return (await lookup(hostname, { all: true })).map(({ address }) => address);
      throw Object.assign(new Error('the host has no address'), { code: 'ENOTFOUND' });
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
