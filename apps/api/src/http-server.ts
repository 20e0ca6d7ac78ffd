import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** How long requests in flight may go on after `close`, in milliseconds; then their connections are cut. */
  readonly graceMs: number;
  /**
   * A connection without a byte in either direction is cut after this time, in milliseconds, unless a request of it takes
   * the limit away. Default 10 minutes: the last checks of a very large upload take minutes.
   */
  readonly idleTimeoutMs?: number | undefined;
}

export interface HttpServer {
  readonly url: string;
  /** Takes no more requests and lets those in flight end. */
  close(): Promise<void>;
}

const limits = {
  headersTimeout: 10_000,
  /** The largest input file at 1 MB/s. Only a caller with a key may send a body. */
  requestTimeout: 6 * 3_600_000,
  connectionsCheckingInterval: 5000,
  /** Longer than a proxy's usual idle time, so that the proxy closes first. */
  keepAliveTimeout: 75_000,
  /** A call may wait for long without a byte: what is between keeps the connection, and a caller that is gone is noticed. */
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
};
const defaultIdleTimeoutMs = 600_000;
const idleCheckMs = 50;
/**
 * Connections that the system takes while this process is busy. A script may open thousands at once, and beyond this
 * number they are reset. Linux takes no more than its `net.core.somaxconn`, 4096 as a rule.
 */
const mostUnaccepted = 65_535;

/** Listens. Rejects with the system's error when it cannot, such as `EADDRINUSE`. */
export const startHttpServer = async (
  listener: RequestListener,
  { host, port, graceMs, idleTimeoutMs = defaultIdleTimeoutMs }: HttpServerOptions,
): Promise<HttpServer> => {
  const server = createServer(limits, listener);
  server.setTimeout(idleTimeoutMs);
  server.listen({ port, host, backlog: mostUnaccepted });
  await once(server, 'listening');
  const { address, family, port: actualPort } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${actualPort}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      // A connection becomes idle only when its request ends, which may be after the first look.
      const whenIdle = setInterval(() => server.closeIdleConnections(), idleCheckMs);
      const atDeadline = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearInterval(whenIdle);
      clearTimeout(atDeadline);
    },
  };
};
