import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request that a receiver got. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ReceiverOptions {
  /** Default: any free port. */
  readonly port?: number;
  /** Key and certificate in PEM. Default: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

type Answer = (response: ServerResponse, received: Received) => void;

const answerOk: Answer = (response) => void response.writeHead(200).end('{"ok":true}');

/** A server that webhooks may name. It keeps what it gets, and answers with 200 until told otherwise. */
export const startReceiver = async ({ port = 0, tls }: ReceiverOptions = {}) => {
  const received: Received[] = [];
  let connections = 0;
  let answer = answerOk;
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const got = { path: request.url ?? '', headers: request.headers, body: await text(request) };
    received.push(got);
    answer(response, got);
  };
  const listener: RequestListener = (request, response) => void receive(request, response);
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on('connection', () => connections++);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: bound } = server.address() as AddressInfo;
  return {
    port: bound,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${bound}/`,
    received,
    connections: () => connections,
    answerWith(changed: Answer): void {
      answer = changed;
    },
    answerWithStatus(status: number, headers: Record<string, string> = {}): void {
      answer = (response) => void response.writeHead(status, headers).end();
    },
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
};

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;
