import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

describe('a cancelled batch', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '50' },
    });
  });
  afterAll(() => stack.stop());

  it('keeps the answers it paid for and says of every other line that it was cancelled', async () => {
    const input = inputOf(5000);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= 50);
    const asked = await stack.client.batches.cancel(id);
    expect(asked.status).toBe('cancelling');
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('cancelled');
    const { errors } = await checkBatch(stack, batch, input);
    const last = errors?.trimEnd().split('\n').at(-1);
    expect(JSON.parse(last ?? '')).toMatchObject({
      custom_id: 'request-4999',
      response: null,
      error: { code: 'batch_cancelled' },
    });
    expect(await stack.client.batches.cancel(id)).toEqual(batch);
  });
});
