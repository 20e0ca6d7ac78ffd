import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 4;
const requestsPerMinute = 30;
const count = 60;
const configOf = (perMinute: number): string =>
  JSON.stringify({ tenants: { default: { concurrency, requestsPerMinute: perMinute } } });

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers: 2,
    env: { SIMULATOR_LATENCY_MS: '300', WORKER_CONCURRENCY: '20' },
    files: { 'promptmill.yaml': configOf(requestsPerMinute) },
  });
});
afterAll(() => stack.stop());

it('a tenant’s limits hold at the provider when a worker is killed, and its batch ends', async () => {
  const [killed] = stack.workers;
  if (!killed) throw new Error('no worker');
  const input = inputOf(count);
  const { id } = await createBatch(stack.client, input);
  await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= 8);
  await killed.stop('SIGKILL');

  await untilBatch(stack.client, id, (batch) =>
    JSON.stringify(batch).includes(`You have reached your limit requestsPerMinute: ${requestsPerMinute}.`),
  );
  const calls = async (): Promise<number> => (await stack.calls()).length;
  // A call that the dead worker had not sent yet counts too.
  await expect.poll(calls).toBeGreaterThanOrEqual(requestsPerMinute - concurrency);
  expect(await calls()).toBeLessThanOrEqual(requestsPerMinute);

  await writeFile(join(stack.directory, 'promptmill.yaml'), configOf(1000));
  const batch = await untilBatch(stack.client, id);
  expect(batch.status).toBe('completed');
  await checkBatch(stack, batch, input, { allowedRepeats: concurrency });
  expect(Math.max(...(await stack.calls()).map(({ inFlight }) => inFlight))).toBe(concurrency);
});
