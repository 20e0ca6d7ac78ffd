import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { BatchObject } from '@promptmill/core';
import { fetch } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { type ApiClient, createApiClient } from '../src/api/api-client.ts';
import { watchBatch } from '../src/progress/watch-batch.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const newBatch = { input_file_id: 'file-1', endpoint: '/v1/embeddings', completion_window: '24h' };

let server: Server | undefined;

/** A client of a server that answers its first call with the first handler, and so on; the last one answers the rest. */
const connectTo = async (...handlers: Handler[]) => {
  const requests: IncomingMessage[] = [];
  server = createServer((request, response) => {
    const handler = handlers[Math.min(requests.length, handlers.length - 1)];
    requests.push(request);
    request.resume();
    handler?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client: ApiClient = createApiClient({ baseUrl: `http://127.0.0.1:${port}`, apiKey: 'secret', fetch });
  return { client, requests };
};

const answer =
  (status: number, body: unknown): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

const breakOff: Handler = ({ socket }) => socket.destroy();

const events =
  (...batches: Partial<BatchObject>[]): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    response.end(batches.map((batch) => `event: progress\ndata: ${JSON.stringify(batch)}\n\n`).join(''));
  };

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

describe('the api client', () => {
  it("throws the server's own message and code", async () => {
    const { client, requests } = await connectTo(
      answer(400, { error: { message: 'No such file.', code: 'file_gone' } }),
    );
    await expect(client.createBatch(newBatch, 'k')).rejects.toMatchObject({
      message: 'No such file.',
      code: 'file_gone',
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'idempotency-key': 'k' });
  });

  it('says when the answer comes from no Promptmill server', async () => {
    const { client } = await connectTo((_request, response) => response.writeHead(404).end('<html>'));
    await expect(client.getBatch('b')).rejects.toMatchObject({
      code: 'http_404',
      message: /may be no Promptmill server: export PROMPTMILL_URL=/,
    });
  });

  it('repeats what is safe to repeat: reading, and creating under one key', async () => {
    const { client, requests } = await connectTo(breakOff, answer(503, {}), answer(200, { id: 'b' }));
    expect(await client.createBatch(newBatch, 'k')).toEqual({ id: 'b' });
    expect(requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['k', 'k', 'k']);
    expect(await client.getBatch('b')).toEqual({ id: 'b' });
  });

  it('repeats an upload from its start, under the same key', async () => {
    const bodies: Promise<string>[] = [];
    const readBody: Handler = (request, response) => {
      bodies.push(text(request));
      request.on('end', () => response.writeHead(bodies.length < 3 ? 503 : 200).end('{"id":"f"}'));
    };
    const { client, requests } = await connectTo(readBody);
    expect(await client.uploadFile({ path: import.meta.filename, filename: 'a.jsonl', idempotencyKey: 'k' })).toEqual({
      id: 'f',
    });
    expect(requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['k', 'k', 'k']);
    const [first, ...others] = await Promise.all(bodies);
    expect(first).toContain('repeats an upload from its start');
    expect(others).toEqual([first, first]);
  });
});

describe('watchBatch', () => {
  const running = { id: 'b', status: 'in_progress' } as const;

  it('follows a batch to its end through broken connections', async () => {
    const { client, requests } = await connectTo(
      events(running),
      breakOff,
      events(running, { id: 'b', status: 'completed' }, running),
    );
    const seen: string[] = [];
    const batch = await watchBatch(client, 'b', { onProgress: ({ status }) => seen.push(status) });
    expect(batch.status).toBe('completed');
    expect(seen).toEqual(['in_progress', 'in_progress', 'completed']);
    expect(requests).toHaveLength(3);
  });

  it('gives up at once on an error that lasts', async () => {
    const { client, requests } = await connectTo(answer(404, { error: { message: 'No batch.', code: null } }));
    await expect(watchBatch(client, 'b', { onProgress: () => {} })).rejects.toThrow('No batch.');
    expect(requests).toHaveLength(1);
  });

  it('ends when its signal aborts', async () => {
    const stop = new AbortController();
    const { client } = await connectTo((_request, response) => {
      response.writeHead(200).write(`event: progress\ndata: ${JSON.stringify(running)}\n\n`);
    });
    const watched = watchBatch(client, 'b', {
      onProgress: () => stop.abort(new Error('enough')),
      signal: stop.signal,
    });
    await expect(watched).rejects.toThrow('enough');
  });
});
