import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

interface SeenCall {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed where it is JSON. */
  readonly body: unknown;
}

const notTold: RequestListener = (_request, response) => void response.writeHead(500).end('not told what to answer');

/** A provider on a port of its own that answers as it is told and keeps what it saw. */
export const startTestProvider = async () => {
  let answer = notTold;
  let connections = 0;
  const calls: SeenCall[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const isJson = request.headers['content-type']?.includes('json');
      const body: unknown = text === '' ? undefined : isJson ? JSON.parse(text) : text;
      calls.push({ url: request.url ?? '', headers: request.headers, body });
      answer(request, response);
    });
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    connections: () => connections,
    answerWith(listener: RequestListener): void {
      answer = listener;
    },
    answerJson(status: number, body: unknown, headers: Record<string, string> = {}): void {
      answer = (_request, response) => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify(body));
      };
    },
    answerText(status: number, contentType: string, text: string): void {
      answer = (_request, response) => {
        response.writeHead(status, { 'content-type': contentType });
        response.end(text);
      };
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

export type TestProvider = Awaited<ReturnType<typeof startTestProvider>>;
