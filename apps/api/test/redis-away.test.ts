import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LocalRedis, startLocalRedis } from '../../../tests/support/local-redis.ts';
import { startTcpProxy, type TcpProxy } from '../../../tests/support/tcp-proxy.ts';
import { inputFile, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

let redis: LocalRedis;
let proxy: TcpProxy;
let api: TestApi;

beforeAll(async () => {
  redis = await startLocalRedis([]);
  proxy = await startTcpProxy(redis.url);
});
afterAll(async () => {
  await api.close();
  await proxy.close();
  await redis.stop();
});

const unavailable = { status: 503, body: { error: { type: 'server_error', code: 'service_unavailable' } } };

const timed = async (route: string, init?: RequestInit) => {
  const startedAt = performance.now();
  const response = await api.request(route, init);
  const body = await response.json();
  return { status: response.status, body, ms: performance.now() - startedAt };
};
const createBatch = () =>
  timed('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'simulator/echo', prompts: ['hi'] }),
  });
const status = async (route: string) => (await api.request(route)).status;

it('starts without Redis, says so, and works once it is there', async () => {
  proxy.set('refuse');
  api = await startTestApi({ redisUrl: proxy.url });
  expect(await status('/livez')).toBe(200);
  expect(await status('/readyz')).toBe(503);
  expect(await createBatch()).toMatchObject(unavailable);
  expect(await api.stored()).toEqual([]);

  proxy.set('pass');
  await expect.poll(() => status('/readyz'), { timeout: 5000 }).toBe(200);
  expect(await createBatch()).toMatchObject({ status: 200 });
});

it('answers 503 in time when Redis goes away, and recovers', async () => {
  const file = await api.alice.files.create({ file: await inputFile(lines(2)), purpose: 'batch' });
  proxy.set('refuse');
  for (const answer of [await timed('/v1/batches'), await createBatch(), await timed(`/v1/files/${file.id}/content`)]) {
    expect(answer).toMatchObject(unavailable);
    expect(answer.ms).toBeLessThan(2000);
  }
  await expect(api.alice.files.create({ file: await inputFile(lines(2)), purpose: 'batch' })).rejects.toMatchObject({
    status: 503,
  });
  proxy.set('pass');
  await expect.poll(() => status('/readyz'), { timeout: 5000 }).toBe(200);
  expect(await createBatch()).toMatchObject({ status: 200 });
});

it('answers 503 in time when Redis takes commands and gives no answers', async () => {
  proxy.set('drop');
  const answers = await Promise.all([timed('/v1/batches'), createBatch(), timed('/readyz')]);
  for (const answer of answers) {
    expect(answer.status).toBe(503);
    expect(answer.ms).toBeLessThan(2500);
  }
  proxy.set('pass');
  await expect.poll(() => status('/readyz'), { timeout: 10_000 }).toBe(200);
  expect(await createBatch()).toMatchObject({ status: 200 });
});
