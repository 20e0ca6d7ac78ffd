import { closeRedis, connectRedis, createKeys } from '@promptmill/queue';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** How long a stopped batch waits for its calls in flight. */
const graceSeconds = 10;

describe('a batch that is cancelled or expires', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '50' },
    });
  });
  afterAll(() => stack.stop());

  const untilDone = (id: string, count: number): Promise<Batch> =>
    untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= count);

  /** Sets a batch's deadline to now, since the shortest completion window is an hour. */
  const letExpire = async (id: string): Promise<void> => {
    const redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    const key = createKeys(stack.prefix).batch(id);
    const fixed = JSON.parse((await redis.hget(key, 'fixed')) ?? '');
    await redis.hset(key, 'fixed', JSON.stringify({ ...fixed, expiresAt: Math.floor(Date.now() / 1000) }));
    await closeRedis(redis);
  };

  const answersOf = async (id: string): Promise<number> =>
    (await stack.calls()).filter(({ key, status }) => key?.startsWith(id) && status === 200).length;

  const lastOf = (content: string | undefined): unknown => JSON.parse(content?.trimEnd().split('\n').at(-1) ?? '');

  it('keeps its answers, and writes batch_cancelled for every other request', async () => {
    const input = inputOf(5000);
    const { id } = await createBatch(stack.client, input);
    await untilDone(id, 50);
    const asked = await stack.client.batches.cancel(id);
    expect(asked.status).toBe('cancelling');
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('cancelled');
    const { errors } = await checkBatch(stack, batch, input);
    expect(batch.request_counts?.completed).toBe(await answersOf(id));
    expect(lastOf(errors)).toMatchObject({
      custom_id: 'request-4999',
      response: null,
      error: { code: 'batch_cancelled' },
    });
    expect(await stack.client.batches.cancel(id)).toEqual(batch);
  });

  it('keeps its answers, and writes batch_expired for every other request', async () => {
    const input = inputOf(5000);
    const { id } = await createBatch(stack.client, input);
    await untilDone(id, 50);
    await letExpire(id);
    const batch = await untilBatch(stack.client, id);
    expect(batch).toMatchObject({ status: 'expired', expired_at: expect.any(Number), cancelled_at: null });
    expect(batch.request_counts?.completed).toBe(await answersOf(id));
    const { errors } = await checkBatch(stack, batch, input);
    expect(lastOf(errors)).toMatchObject({ custom_id: 'request-4999', error: { code: 'batch_expired' } });
  });

  it('expires at its deadline while it is paused', async () => {
    const input = inputOf(500);
    const { id } = await createBatch(stack.client, input);
    await untilDone(id, 20);
    await stack.client.post(`/batches/${id}/pause`);
    await letExpire(id);
    const batch = await untilBatch(stack.client, id);
    expect(batch).toMatchObject({ status: 'expired', promptmill: { paused_at: null } });
    await checkBatch(stack, batch, input);
  });

  it('waits for its calls in flight, and keeps their answers', async () => {
    const input = inputOf(40, (i) => (i < 10 ? '[[sim:latency=3000]]' : `Say ${i}`));
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, ({ status }) => status === 'in_progress');
    await expect
      .poll(async () => (await fetch(`${stack.simulator.url}/control/stats`)).json())
      .toMatchObject({ inFlight: 10 });
    await stack.client.batches.cancel(id);
    const batch = await untilBatch(stack.client, id);
    expect(batch).toMatchObject({ status: 'cancelled', request_counts: { total: 40, completed: 10, failed: 30 } });
    await checkBatch(stack, batch, input);
  });

  // This test is the last one, since it leaves the lane held.
  it('does not wait for a lane that is held', async () => {
    const input = inputOf(400, (i) => (i === 30 ? '[[sim:status=429;retry-after=60]]' : `Say ${i}`));
    const { id } = await createBatch(stack.client, input);
    await untilDone(id, 30);
    await expect.poll(async () => (await fetch(`${stack.api.url}/v1/lanes`)).text()).toContain('rate_limited');
    await stack.client.batches.cancel(id);
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('cancelled');
    expect((batch.cancelled_at ?? Infinity) - (batch.cancelling_at ?? 0)).toBeLessThan(graceSeconds);
    await checkBatch(stack, batch, input);
  });
});
