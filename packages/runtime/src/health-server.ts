import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface HealthServerOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  /** Whether the role can work now. An error, or no answer within 2 s, counts as no. */
  readonly ready: () => Promise<boolean> | boolean;
  readonly registry: Registry;
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

/** Serves `/livez`, `/readyz` and `/metrics` for the roles without an HTTP server of their own. */
export const startHealthServer = async (options: HealthServerOptions): Promise<HealthServer> => {
  const { port, host, ready, registry } = options;

  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    if (path === '/livez') return send(response, 200, 'ok\n');
    if (path === '/metrics') return send(response, 200, await registry.metrics(), registry.contentType);
    if (path !== '/readyz') return send(response, 404, 'not found\n');
    return (await isReady(ready)) ? send(response, 200, 'ok\n') : send(response, 503, 'not ready\n');
  };

  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    answer(path, response).catch(() => send(response, 500, 'internal error\n'));
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
