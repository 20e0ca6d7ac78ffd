import { isLoopback } from './loopback.ts';

// Sources: RFC 1918, RFC 3927 (link-local), RFC 6598 (shared address space), RFC 4193 and RFC 4291 for IPv6.
const privateAddresses = [
  /^10\.\d+\.\d+\.\d+$/,
  /^172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+$/,
  /^192\.168\.\d+\.\d+$/,
  /^169\.254\.\d+\.\d+$/,
  /^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/,
  /^\[f[cd][0-9a-f]{2}:/,
  /^\[fe[89ab][0-9a-f]:/,
];

/**
 * Whether a URL's host is this machine or in a private network: an address of one, a name without a dot (`vllm`), or
 * one that no public DNS knows (`host.docker.internal`, `gpu.local`, `vllm.default.svc`).
 */
export const isPrivateHost = (host: string): boolean =>
  isLoopback(host) ||
  privateAddresses.some((pattern) => pattern.test(host)) ||
  /^[a-z0-9_-]+$/i.test(host) ||
  /\.(?:internal|local|localhost|svc|home\.arpa)$/i.test(host);
