import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MetricsText } from './metrics.ts';

export interface HealthServerOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** Whether the role can work now. An error, or no answer within 2 s, counts as no. */
  readonly ready: () => Promise<boolean> | boolean;
  readonly metrics: MetricsText;
  /** The bearer token that `/metrics` asks for. Undefined: it asks for none. */
  readonly metricsToken?: string | undefined;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

const readyTimeoutMs = 2000;

const isReady = async (ready: HealthServerOptions['ready']): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), readyTimeoutMs);
  });
  try {
    return await Promise.race([ready(), timeout]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
};

const send = (response: ServerResponse, status: number, text: string, contentType = 'text/plain'): void => {
  response.writeHead(status, { 'content-type': contentType });
  response.end(text);
};

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const bears = ({ headers }: IncomingMessage, token: string): boolean =>
  timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));

const limits = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 5000 };

/** Serves `/livez`, `/readyz` and `/metrics` for the roles without an HTTP server of their own. */
export const startHealthServer = async (options: HealthServerOptions): Promise<HealthServer> => {
  const { port, host, ready, metrics, metricsToken } = options;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = ''] = (request.url ?? '').split('?');
    if (path === '/livez') return send(response, 200, 'ok\n');
    if (path === '/metrics' && metricsToken !== undefined && !bears(request, metricsToken))
      return send(response, 401, 'send PROMPTMILL_METRICS_TOKEN as a bearer token\n');
    if (path === '/metrics') return send(response, 200, await metrics.metrics(), metrics.contentType);
    if (path !== '/readyz') return send(response, 404, 'not found\n');
    return (await isReady(ready)) ? send(response, 200, 'ok\n') : send(response, 503, 'not ready\n');
  };

  const server = createServer(limits, (request, response) => {
    answer(request, response).catch(() => send(response, 500, 'internal error\n'));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });

  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
