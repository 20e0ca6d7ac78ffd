import { setTimeout as sleep } from 'node:timers/promises';
import { closeRedis, connectRedis, createKeys, openBatchesQueue } from '@promptmill/queue';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { inputFile, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeEach(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterEach(() => api.close());

const upload = async (count: number, name?: string): Promise<string> =>
  (await api.alice.files.create({ file: await inputFile(lines(count), name), purpose: 'batch' })).id;

const createBatchOf = async (fileId: string): Promise<string> => {
  const { id } = await api.alice.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  return id;
};

const createBatch = async (count: number, name?: string): Promise<string> => createBatchOf(await upload(count, name));

const untilDispatched = (id: string, options = {}) =>
  expect.poll(async () => Number(await api.redis.hget(api.keys.batch(id), 'dispatched')), options).toBeGreaterThan(0);

/** The batches' queue as another process sees it. */
const withQueue = async <T>(use: (queue: ReturnType<typeof openBatchesQueue>) => Promise<T>): Promise<T> => {
  const redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  const queue = openBatchesQueue(redis, createKeys(api.prefix));
  try {
    return await use(queue);
  } finally {
    await queue.close();
    await closeRedis(redis);
  }
};

test('a batch at work has an active job, named after its input; a paused one waits; it is active again when it goes on', () =>
  withQueue(async (queue) => {
    const id = await createBatch(3, 'nightly.jsonl');
    await untilDispatched(id);
    for (let look = 0; look < 20; look++) {
      expect(await queue.getJobState(id)).toBe('active');
      await sleep(20);
    }
    expect((await queue.getJob(id))?.name).toBe('nightly.jsonl · 3 requests');
    await api.alice.post(`/batches/${id}/pause`);
    await expect.poll(() => queue.getJobState(id)).toBe('delayed');
    await api.alice.post(`/batches/${id}/resume`);
    await expect
      .poll(async () => {
        const states = [];
        for (let look = 0; look < 5; look++) {
          states.push(await queue.getJobState(id));
          await sleep(50);
        }
        return states;
      })
      .toEqual(Array.from({ length: 5 }, () => 'active'));
  }));

test('paused batches take no step until they are resumed or cancelled', () =>
  withQueue(async (queue) => {
    const ids = await Promise.all(Array.from({ length: 50 }, () => createBatch(3)));
    // As if they had been paused for two minutes.
    const since = String(Math.floor(Date.now() / 1000) - 120);
    for (const id of ids) {
      await untilDispatched(id);
      await api.redis.hset(api.keys.batch(id), 'paused', since);
    }
    // Batches that take turns are delayed for a moment too; one that has seen its pause rests for long.
    for (const id of ids) await expect.poll(async () => (await queue.getJob(id))?.delay).toBeGreaterThan(30_000);
    const steps = async (): Promise<number> => {
      const jobs = await Promise.all(ids.map((id) => queue.getJob(id)));
      return jobs.reduce((sum, job) => sum + (job?.attemptsStarted ?? 0), 0);
    };
    const before = await steps();
    await sleep(2000);
    expect(await steps()).toBe(before);
    const [resumed = '', cancelled = ''] = ids;
    await api.alice.post(`/batches/${resumed}/resume`);
    await expect.poll(() => queue.getJobState(resumed)).toBe('active');
    await api.alice.batches.cancel(cancelled);
    await expect.poll(() => api.redis.hget(api.keys.batch(cancelled), 'sealed')).toBe('1');
  }));

test('a batch that another process has taken stays there, and is taken back when that process dies', () =>
  withQueue(async (queue) => {
    const id = await createBatch(3);
    await untilDispatched(id);
    await api.redis.set(`${api.keys.laneJob('batches', id)}:lock`, "another process's", 'PX', 2500);
    await expect.poll(async () => (await queue.getJob(id))?.attemptsStarted).toBe(2);
    expect(await queue.getJobState(id)).toBe('active');
  }));

test('a process that stops gives its batches back at once', () =>
  withQueue(async (queue) => {
    const id = await createBatch(3);
    await untilDispatched(id);
    const startedAt = performance.now();
    await api.stop();
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(await queue.getJobState(id)).toBe('delayed');
    expect(await queue.getJob(id)).toMatchObject({ delay: 0 });
  }));

test('with more batches than places, each gets its turns', async () => {
  // One file for all: a tenant may have 100 uploads at once.
  const fileId = await upload(1);
  const ids = await Promise.all(Array.from({ length: 150 }, () => createBatchOf(fileId)));
  for (const id of ids) await untilDispatched(id, { timeout: 30_000 });
  // A batch that is cancelled is sealed by its job's next turns.
  await Promise.all(ids.map((id) => api.alice.batches.cancel(id)));
  for (const id of ids)
    await expect.poll(() => api.redis.hget(api.keys.batch(id), 'sealed'), { timeout: 30_000 }).toBe('1');
});
