import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Role, type Stack, startStack } from '../support/stack.ts';
import { inLongForm } from '../support/long-form.ts';

const concurrency = 20;
const count = 600;
const halfDone = ({ request_counts: counts }: { request_counts?: { completed: number } }): boolean =>
  (counts?.completed ?? 0) > count / 3;

describe('a process killed in the middle of a batch', () => {
  let stack: Stack;

  beforeEach(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      collectors: 2,
      env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '100' },
    });
  });
  afterEach(() => stack.stop());

  const processOf = (role: Role) => {
    const running = { api: stack.api, worker: stack.workers[0], collector: stack.collectors[0] }[role as 'api'];
    if (!running) throw new Error(`no ${role}`);
    return running;
  };

  const killed = [
    // Only the death of a worker may repeat calls: those that it had in flight.
    ['worker', concurrency],
    ['collector', 0],
  ] as const;
  it.each(inLongForm ? killed : killed.slice(0, 1))('loses nothing when it is a %s', async (role, allowedRepeats) => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, halfDone);
    expect(await processOf(role).stop('SIGKILL')).toBe('SIGKILL');
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('completed');
    await checkBatch(stack, batch, input, { allowedRepeats });
  });

  it.runIf(inLongForm)('loses nothing when it is the api, and another api takes over dispatch', async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, halfDone);
    await stack.api.stop('SIGKILL');
    const next = await stack.start('api');
    const client = stack.client.withOptions({ baseURL: `${next.url}/v1` });
    const batch = await untilBatch(client, id);
    await checkBatch({ ...stack, client }, batch, input);
  });

  it.runIf(inLongForm)('a worker told to stop finishes its calls, repeats none, and exits with 0', async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, halfDone);
    expect(await processOf('worker').stop('SIGTERM')).toBe(0);
    expect(await processOf('collector').stop('SIGTERM')).toBe(0);
    const batch = await untilBatch(stack.client, id);
    await checkBatch(stack, batch, input, { allowedRepeats: 0 });
  });
});
