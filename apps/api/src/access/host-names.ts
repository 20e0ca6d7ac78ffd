import { isLoopback } from '@promptmill/core';
import type { ApiConfig } from '../api-config.ts';

/** The name or address in a `Host` header, in lower case, without port, brackets and last dot. Undefined: it holds none. */
export const hostNameOf = (header: string | undefined): string | undefined => {
  const [, ipv6, name] = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::\d{1,5})?$/i.exec(header ?? '') ?? [];
  return (ipv6 ?? name?.replace(/\.$/, ''))?.toLowerCase();
};

/** Whether a name is among the patterns, of which `*.example.com` stands for every subdomain. */
export const isAmong = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => (pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern));

/**
 * Whether the api serves requests for this host. A name of another kind may be one that a foreign page has made to mean
 * this machine (DNS rebinding). With API keys that page has no key, so any name is served unless the names are listed.
 */
export const createServesHost =
  ({ host, allowedHosts }: Pick<ApiConfig, 'host' | 'allowedHosts'>, isKeyless: () => boolean) =>
  (name: string | undefined): boolean => {
    if (allowedHosts === undefined && !isKeyless()) return true;
    if (name === undefined) return false;
    return (
      isLoopback(name) ||
      name.endsWith('.localhost') ||
      name === host.toLowerCase() ||
      isAmong(name, allowedHosts ?? [])
    );
  };
