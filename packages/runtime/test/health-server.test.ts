import { afterEach, expect, it } from 'vitest';
import { createMetrics, type HealthServer, startHealthServer } from '../src/index.ts';

let server: HealthServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

const start = async (ready: () => boolean | Promise<boolean>, metricsToken?: string) => {
  const { registry: metrics, calls } = createMetrics('worker');
  calls.inc({ lane: 'xai', class: 'success' });
  server = await startHealthServer({ port: 0, host: '127.0.0.1', ready, metrics, metricsToken });
  const { port } = server;
  return (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers });
};

it('answers that it is alive and ready, and serves its metrics', async () => {
  const get = await start(() => true);
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/readyz?verbose')).status).toBe(200);
  expect((await get('/')).status).toBe(404);
  const metrics = await (await get('/metrics')).text();
  expect(metrics).toContain('promptmill_calls_total{lane="xai",class="success",role="worker"} 1');
  expect(metrics).toContain('process_cpu_seconds_total');
});

it.each<[string, () => boolean | Promise<boolean>]>([
  ['is told no', () => false],
  ['cannot tell', () => Promise.reject(new Error('no Redis'))],
  [
    'throws',
    () => {
      throw new Error('broken');
    },
  ],
  ['waits too long', () => new Promise<boolean>(() => {})],
])('is alive but not ready when it %s', async (_why, ready) => {
  const get = await start(ready);
  expect((await get('/readyz')).status).toBe(503);
  expect((await get('/livez')).status).toBe(200);
});

it('serves its metrics to who bears the token, when one is set', async () => {
  const get = await start(() => true, 'token-01');
  expect((await get('/metrics')).status).toBe(401);
  expect((await get('/metrics', { authorization: 'Bearer token-02' })).status).toBe(401);
  expect((await get('/metrics', { authorization: 'Bearer token-01' })).status).toBe(200);
  expect((await get('/livez')).status).toBe(200);
});
