import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const count = 12;
const concurrency = 2 * count;
/** Longer than a job's lock lasts, plus the check that finds it has run out. */
const stoppedMs = 9500;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers: 2,
    env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '1500' },
    // Without this limit the refusal would narrow the lane to one call.
    files: { 'promptmill.yaml': 'providers: { simulator: { concurrency: 50 } }' },
  });
});
afterAll(() => stack.stop());

it('a worker that was stopped while its requests waited makes no call for those that others have taken', async () => {
  // The first call is refused, and the lane is held until the worker runs again.
  const promptOf = (index: number): string =>
    index === 0 ? 'Say 0 [[sim:status=429;retry-after=14;times=1]]' : `Say ${index}`;
  const input = inputOf(1, promptOf);
  const { id: first } = await createBatch(stack.client, input);
  const called = async (): Promise<number> => (await stack.calls()).length;
  await expect.poll(called, { timeout: 10_000 }).toBe(1);
  const waiting = inputOf(count);
  const { id: second } = await createBatch(stack.client, waiting);
  const inWork = async (): Promise<number> => {
    const answer = await fetch(`${stack.api.url}/v1/lanes`);
    const { data } = (await answer.json()) as { data: { in_flight: number }[] };
    return data.reduce((sum, lane) => sum + lane.in_flight, 0);
  };
  await expect.poll(inWork, { timeout: 10_000 }).toBe(1 + count);
  const [worker] = stack.workers;
  worker?.child.kill('SIGSTOP');
  await delay(stoppedMs);
  worker?.child.kill('SIGCONT');
  await checkBatch(stack, await untilBatch(stack.client, first), input, { allowedRetries: 1 });
  await checkBatch(stack, await untilBatch(stack.client, second), waiting);
});
