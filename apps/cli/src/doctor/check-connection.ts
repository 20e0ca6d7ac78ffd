import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isLoopback } from '@promptmill/core';
import { type Check, checksOf } from './check.ts';

const stepTimeoutMs = 5000;

const hintFor = (name: string, url: URL, { code = '' }: NodeJS.ErrnoException): string => {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `No such host, or no DNS: check providers.${name}.baseUrl and this machine's network.`;
  if (code === 'ECONNREFUSED')
    return isLoopback(url.hostname)
      ? `Nothing listens on port ${url.port || 80}: is it running?`
      : 'Nothing listens there: check the port of its base URL.';
  if (/CERT|TLS|SSL|EPROTO|SELF_SIGNED|ISSUER/.test(code))
    return 'Its certificate cannot be trusted from here; for a CA of your own set NODE_EXTRA_CA_CERTS.';
  return 'Does a firewall or a proxy block it? Promptmill connects directly.';
};

/** Connects to a provider as a call would, and measures each step: DNS, TCP, TLS. */
export const checkConnection = async (name: string, baseUrl: string): Promise<Check> => {
  const { ok, failed } = checksOf(name);
  const url = new URL(baseUrl);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isTls = url.protocol === 'https:';
  const port = Number(url.port || (isTls ? 443 : 80));
  const signal = AbortSignal.timeout(stepTimeoutMs);
  const times: string[] = [];
  let startedAt = performance.now();
  const note = (step: string): void => {
    times.push(`${step} ${Math.round(performance.now() - startedAt)} ms`);
    startedAt = performance.now();
  };

  let socket: Socket | undefined;
  try {
    const { address } = await lookup(host);
    note('DNS');
    socket = connect(port, address);
    await once(socket, 'connect', { signal });
    note('TCP');
    if (isTls) {
      const secure = connectTls({ socket, servername: host });
      socket = secure;
      await once(secure, 'secureConnect', { signal });
      note('TLS');
    }
    return ok(`${baseUrl} can be reached (${times.join(', ')})`);
  } catch (error) {
    const problem = error as NodeJS.ErrnoException;
    const what = signal.aborted ? `no connection within ${stepTimeoutMs / 1000} s` : problem.message;
    return failed(`${baseUrl} cannot be reached: ${what}`, hintFor(name, url, problem));
  } finally {
    socket?.on('error', () => {}).destroy();
  }
};
