import { closeRedis, connectRedis, createKeys, createShards, type RedisConnection } from '@promptmill/queue';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { checkHandedOff, type ResultLine, shardsOf, startHandOffStacks, usdPerMillion } from '../support/hand-off.ts';
import { inLongForm } from '../support/long-form.ts';
import type { Stack } from '../support/stack.ts';

const maxLines = 100;
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
      { env: { WORKER_CONCURRENCY: '50' } },
    ));
  });
  afterAll(async () => {
    await outer?.stop();
    await inner?.stop();
    await closeRedis(redis);
  });

  const submit = async (input: string, promptmill: object = {}): Promise<string> =>
    (await createBatch(outer.client, input, { promptmill })).id;
  const run = async (input: string, promptmill: object = {}) =>
    untilBatch(outer.client, await submit(input, promptmill));
  const check = (batch: Batch, input: string) => checkHandedOff({ inner, outer }, batch, input, { maxLines });
  const ofBatchApi = (lines: readonly ResultLine[]) =>
    lines.filter(({ promptmill: note }) => note?.via === 'batch_api');
  const answeredIn = (shards: readonly Batch[]): number =>
    shards.reduce((sum, { request_counts: counts }) => sum + (counts?.completed ?? 0), 0);

  it('has each result in its place, and costs half', async () => {
    const input = inputOf(500, undefined, model);
    const batch = await run(input);
    expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
    expect(extensionOf(batch)).toMatchObject({
      strategy: 'auto',
      batch_api: { requests: 500, waiting: 0, shards: 5, open: 0 },
    });
    const { output } = await check(batch, input);
    expect(ofBatchApi(output)).toHaveLength(500);
    expect((await inner.stats()).calls).toBe(500);

    const halfPrice = ((batch.usage?.total_tokens ?? 0) * usdPerMillion) / 1e6 / 2;
    expect(halfPrice).toBeGreaterThan(0);
    expect(extensionOf(batch).cost.spent).toBeCloseTo(halfPrice, 9);
    const day = new Date(batch.created_at * 1000).toISOString().slice(0, 10);
    const usage = await outer.client.get<{ data: unknown[] }>(`/usage?from=${day}&by=model`);
    expect(usage.data).toMatchObject([{ model, answers: 500, cost: { spent: extensionOf(batch).cost.spent } }]);
    // What was uploaded, and what was downloaded, does not stay at the provider.
    await expect.poll(async () => (await inner.client.files.list()).data.length, { timeout: 10_000 }).toBe(0);
  });

  it('is not, where it is small or is to run live; errors that would come again are results', async () => {
    const promptOf = (i: number) => (i % 100 === 7 ? `[[sim:status=400]] ${i}` : `Say ${i}`);
    const input = inputOf(500, promptOf, model);
    const [small, live, cheapest, failing] = await Promise.all([
      run(inputOf(20, undefined, model)),
      run(inputOf(500, undefined, model), { strategy: 'live' }),
      run(inputOf(20, undefined, model), { strategy: 'cheapest' }),
      run(input),
    ]);
    const handedOff = [small, live, cheapest].map((batch) => extensionOf(batch).batch_api?.requests);
    expect(handedOff).toEqual([undefined, undefined, 20]);
    expect(failing.request_counts).toEqual({ total: 500, completed: 495, failed: 5 });
    expect(ofBatchApi((await check(failing, input)).errors)).toHaveLength(5);
  });

  it('with fastest is what its lane would not let in in half of the time', async () => {
    const input = inputOf(40, undefined, 'inner/simulator/json');
    const { id } = await createBatch(outer.client, input, {
      completion_window: '1m',
      promptmill: { strategy: 'fastest' },
    });
    const planned = await untilBatch(outer.client, id, (batch) => extensionOf(batch).batch_api !== null);
    expect(extensionOf(planned).batch_api?.requests).toBe(10);
    await outer.client.batches.cancel(id);
  });

  it.runIf(inLongForm)('says why, and waits, while its provider cannot be reached', async () => {
    await inner.api.stop();
    const id = await submit(inputOf(500, undefined, model));
    const waiting = await untilBatch(outer.client, id, (batch) => extensionOf(batch).waiting_for.length > 0);
    expect(extensionOf(waiting).waiting_for).toMatchObject([{ lane: 'shards', reason: 'connection_error' }]);
    await inner.start('api', inner.api.environment);
    const batch = await untilBatch(outer.client, id);
    expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
    expect(extensionOf(batch).batch_api?.requests).toBe(500);
  });

  describe('half way', () => {
    const requests = 300;
    /** Each second one takes as long as the simulator is told to. */
    const input = inputOf(requests, (i) => (i % 2 === 0 ? `[[sim:latency=1]] ${i}` : `Say ${i}`), model);
    const ended = new Map<string, Batch>();

    const interruptions: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      cancelled: (id) => outer.client.batches.cancel(id),
      paused: (id) => outer.client.post(`/batches/${id}/pause`),
      /** Its time is up now, and not in 18 hours. */
      'given up': async (id) => {
        const keys = createKeys(outer.prefix);
        for (const { plan } of await createShards(redis, keys).list(id))
          await redis.hset(keys.shards(id), String(plan.number), JSON.stringify({ ...plan, giveUpAtMs: Date.now() }));
      },
      expired: async (id) => {
        const keys = createKeys(inner.prefix);
        for (const { batch } of await shardsOf(inner, id)) {
          const fixed = JSON.parse((await redis.hget(keys.batch(batch.id), 'fixed')) ?? '{}') as object;
          const expiresAt = Math.floor(Date.now() / 1000);
          await redis.hset(keys.batch(batch.id), 'fixed', JSON.stringify({ ...fixed, expiresAt }));
        }
      },
    };

    beforeAll(async () => {
      await inner.control({ latency: { kind: 'fixed', ms: 1000 } });
      const begin = async (name: string): Promise<string> => {
        const id = await submit(input, { strategy: 'cheapest' });
        const answered = async () => answeredIn((await shardsOf(inner, id)).map(({ batch }) => batch));
        await vi.waitUntil(async () => (await answered()) >= 10, { timeout: 30_000, interval: 100 });
        await interruptions[name]?.(id);
        await untilBatch(outer.client, id, (batch) => extensionOf(batch).batch_api?.open === 0);
        return id;
      };
      const names = Object.keys(interruptions);
      const ids = await Promise.all(names.map(begin));
      await inner.control({ latency: { kind: 'fixed', ms: 0 } });
      await outer.client.post(`/batches/${ids[names.indexOf('paused')]}/resume`);
      for (const [i, id] of ids.entries()) ended.set(names[i] ?? '', await untilBatch(outer.client, id));
    });

    it.each(['cancelled', 'paused', 'given up', 'expired'])('%s: what it was answered is kept', async (name) => {
      const batch = ended.get(name);
      if (!batch) throw new Error(`no batch was ${name}`);
      const shards = (await shardsOf(inner, batch.id)).map((shard) => shard.batch);
      expect(shards.map(({ status }) => status)).toContain(name === 'expired' ? 'expired' : 'cancelled');
      const { output, calls } = await check(batch, input);
      const answered = answeredIn(shards);
      expect(answered).toBeGreaterThan(0);
      expect(answered).toBeLessThan(requests);
      // Each call that the provider has made gave a result.
      expect(calls).toHaveLength(answered);
      expect(ofBatchApi(output)).toHaveLength(answered);
      expect(batch.status).toBe(name === 'cancelled' ? 'cancelled' : 'completed');
      expect(output).toHaveLength(name === 'cancelled' ? answered : requests);
    });
  });
});
