import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, inject, test } from 'vitest';
import { keys, startTestApi } from './support/test-api.ts';

test('requests under way when the api stops have PROMPTMILL_GRACE_MS to end', async () => {
  const api = await startTestApi({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_GRACE_MS: '1500' } });
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  const head = [
    'POST /v1/files HTTP/1.1',
    `host: ${hostname}`,
    `authorization: Bearer ${keys.alice}`,
    'content-type: multipart/form-data; boundary=x',
    'transfer-encoding: chunked',
  ];
  await once(socket, 'connect');
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  const part = '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n';
  socket.write(`${part.length.toString(16)}\r\n${part}\r\n`);
  await expect.poll(() => socket.bytesWritten).toBeGreaterThan(part.length);
  // The request has arrived once a later one, on another connection, is answered.
  await (await api.request('/livez')).arrayBuffer();
  const startedAt = performance.now();
  await api.close();
  const tookMs = performance.now() - startedAt;
  socket.destroy();
  expect(tookMs).toBeGreaterThan(1400);
  expect(tookMs).toBeLessThan(6000);
});
