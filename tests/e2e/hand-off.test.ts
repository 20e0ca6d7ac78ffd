import { closeRedis, connectRedis, createKeys, createShards, type RedisConnection } from '@promptmill/queue';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, inject, it, vi } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { checkHandedOff, shardsOf, startHandOffStacks, usdPerMillion } from '../support/hand-off.ts';
import type { Stack } from '../support/stack.ts';

const maxLines = 200;
const model = 'inner/simulator/echo';

/** One Promptmill is the provider of another. */
describe('a batch that is handed off to the batch API of its provider', () => {
  let inner: Stack;
  let outer: Stack;
  let redis: RedisConnection;

  beforeAll(async () => {
    redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    ({ inner, outer } = await startHandOffStacks(
      { redisUrl: inject('redisUrl') },
      { maxLines },
      { env: { WORKER_CONCURRENCY: '200' } },
    ));
  });
  afterAll(async () => {
    await outer?.stop();
    await inner?.stop();
    await closeRedis(redis);
  });

  const submit = (input: string, promptmill: object = {}) => createBatch(outer.client, input, { promptmill });
  const run = async (input: string, promptmill: object = {}) =>
    untilBatch(outer.client, (await submit(input, promptmill)).id);
  const check = (batch: Batch, input: string) => checkHandedOff({ inner, outer }, batch, input, { maxLines });
  /** The provider answers them slowly enough for something to happen meanwhile. */
  const slowInput = (name: string) => inputOf(500, (i) => `[[sim:latency=${50 + i}]] ${name} ${i}`, model);

  /** Waits until the provider has answered some requests of a batch, and not all. */
  const untilHalfDone = async (id: string): Promise<void> => {
    const answered = async (): Promise<number> =>
      (await shardsOf(inner, id)).reduce((sum, { batch }) => sum + (batch.request_counts?.completed ?? 0), 0);
    await vi.waitUntil(async () => (await answered()) >= 50, { timeout: 30_000, interval: 100 });
  };
  const untilBack = (id: string) => untilBatch(outer.client, id, (batch) => extensionOf(batch).batch_api?.open === 0);

  it('has each result in its place, and costs half', async ({ expect }) => {
    const input = inputOf(500, undefined, model);
    const batch = await run(input);
    expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
    expect(extensionOf(batch)).toMatchObject({
      strategy: 'auto',
      batch_api: { requests: 500, waiting: 0, shards: 3, open: 0 },
    });
    const { output } = await check(batch, input);
    expect(output.every(({ promptmill: note }) => note?.via === 'batch_api')).toBe(true);
    expect((await inner.stats()).calls).toBe(500);

    const halfPrice = ((batch.usage?.total_tokens ?? 0) * usdPerMillion) / 1e6 / 2;
    expect(halfPrice).toBeGreaterThan(0);
    expect(extensionOf(batch).cost.spent).toBeCloseTo(halfPrice, 9);
    const day = new Date(batch.created_at * 1000).toISOString().slice(0, 10);
    const usage = await outer.client.get<{ data: { cost: { spent: number } }[] }>(`/usage?from=${day}&by=model`);
    expect(usage.data).toMatchObject([{ model, answers: 500, cost: { spent: extensionOf(batch).cost.spent } }]);
    // What was uploaded, and what was downloaded, does not stay at the provider.
    await expect.poll(async () => (await inner.client.files.list()).data.length, { timeout: 10_000 }).toBe(0);
  });

  describe.concurrent('whatever becomes of it', () => {
    it('is not, where it is small or is to run live', async ({ expect }) => {
      const batches = await Promise.all([
        run(inputOf(20, undefined, model)),
        run(inputOf(500, undefined, model), { strategy: 'live' }),
        run(inputOf(20, undefined, model), { strategy: 'cheapest' }),
      ]);
      const handedOff = batches.map((batch) => extensionOf(batch).batch_api?.requests);
      expect(handedOff).toEqual([undefined, undefined, 20]);
    });

    it('an error that would come again is its result', async ({ expect }) => {
      const promptOf = (i: number) => (i % 100 === 7 ? `[[sim:status=400]] ${i}` : `Say ${i}`);
      const input = inputOf(500, promptOf, model);
      const batch = await run(input);
      expect(batch.request_counts).toEqual({ total: 500, completed: 495, failed: 5 });
      const { errors } = await check(batch, input);
      expect(errors.every(({ promptmill: note }) => note?.via === 'batch_api')).toBe(true);
    });

    it('cancelled half way: the provider stops, and what it has answered is kept', async ({ expect }) => {
      const input = slowInput('Cancel');
      const { id } = await submit(input);
      await untilHalfDone(id);
      await outer.client.batches.cancel(id);
      const batch = await untilBatch(outer.client, id);
      expect(batch.status).toBe('cancelled');
      const shards = (await shardsOf(inner, id)).map((shard) => shard.batch);
      expect(shards.map(({ status }) => status)).toContain('cancelled');
      const answered = shards.reduce((sum, { request_counts: counts }) => sum + (counts?.completed ?? 0), 0);
      expect(batch.request_counts?.completed).toBe(answered);
      expect((await check(batch, input)).calls).toHaveLength(answered);
    });

    it('paused half way: the rest runs live once it goes on', async ({ expect }) => {
      const input = slowInput('Pause');
      const { id } = await submit(input);
      await untilHalfDone(id);
      await outer.client.post(`/batches/${id}/pause`);
      const answered = (await untilBack(id)).request_counts?.completed ?? 0;
      expect(answered).toBeGreaterThan(0);
      expect(answered).toBeLessThan(500);
      await outer.client.post(`/batches/${id}/resume`);
      const batch = await untilBatch(outer.client, id);
      expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
      const { output, calls } = await check(batch, input);
      expect(calls).toHaveLength(answered);
      expect(output.filter(({ promptmill: note }) => note?.via === 'batch_api')).toHaveLength(answered);
    });

    it('given up in time: what the provider lacks runs live', async ({ expect }) => {
      const input = slowInput('Late');
      const { id } = await submit(input);
      await untilHalfDone(id);
      // Its time is up now, and not in 18 hours.
      const keys = createKeys(outer.prefix);
      for (const { plan } of await createShards(redis, keys).list(id))
        await redis.hset(keys.shards(id), String(plan.number), JSON.stringify({ ...plan, giveUpAtMs: Date.now() }));
      const answered = (await untilBack(id)).request_counts?.completed ?? 0;
      expect(answered).toBeLessThan(500);
      const batch = await untilBatch(outer.client, id);
      expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
      const { output, calls } = await check(batch, input);
      expect(output.filter(({ promptmill: note }) => note?.via === 'batch_api')).toHaveLength(calls.length);
    });

    it('expired at the provider: what that lacks runs live', async ({ expect }) => {
      const input = slowInput('Expire');
      const { id } = await submit(input);
      await untilHalfDone(id);
      const keys = createKeys(inner.prefix);
      for (const { batch } of await shardsOf(inner, id)) {
        const fixed = JSON.parse((await redis.hget(keys.batch(batch.id), 'fixed')) ?? '{}') as object;
        const expiresAt = Math.floor(Date.now() / 1000);
        await redis.hset(keys.batch(batch.id), 'fixed', JSON.stringify({ ...fixed, expiresAt }));
      }
      const batch = await untilBatch(outer.client, id);
      expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
      const { output, calls } = await check(batch, input);
      const statuses = (await shardsOf(inner, id)).map((shard) => shard.batch.status);
      expect(statuses).toContain('expired');
      expect(output.filter(({ promptmill: note }) => note?.via === 'batch_api')).toHaveLength(calls.length);
    });
  });
});
