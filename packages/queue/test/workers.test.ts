import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { newBatchId } from '@promptmill/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLaneQueue, openWorker, type OpenWorkerOptions, requestJobOptions } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;

beforeEach(() => {
  space = openRedisSpace();
});

afterEach(() => space.close());

const workerOptions = (name: string): OpenWorkerOptions => ({
  connection: space.redis,
  keys: space.keys,
  name,
  concurrency: 1,
  onError: () => {},
});

test('a job whose worker is killed is taken by another within 10 s', { timeout: 30_000 }, async () => {
  const lane = 'simulator';
  const queue = space.keep(openLaneQueue(space.redis, space.keys, lane));
  const job = {
    batchId: newBatchId(),
    index: 0,
    customId: 'a',
    url: '/v1/chat/completions' as const,
    body: { model: 'echo' },
    bytes: 100,
  };
  await queue.add('request', job, requestJobOptions(job, 0, { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 }));
  const script = join(import.meta.dirname, 'hang-in-job.ts');
  const child = spawn(process.execPath, [script, space.url, space.prefix, lane], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  try {
    const [taken] = (await once(child.stdout, 'data')) as [Buffer];
    expect(taken.toString().trim()).toBe(`${job.batchId}-0`);
    const again = new Promise<unknown>((resolve) => {
      space.keep(openWorker(async ({ data }) => resolve(data), workerOptions(lane)));
    });
    child.kill('SIGKILL');
    const killedAt = performance.now();
    expect(await again).toEqual(job);
    expect(performance.now() - killedAt).toBeLessThan(10_000);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
});

test('a lock that ran out is taken back, unless another worker has it', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'simulator'));
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const worker = space.keep(openWorker(() => finished, workerOptions('simulator')));
  const taken = once(worker, 'active');
  await queue.add('request', { index: 0 } as never, { jobId: 'job-0' });
  await taken;
  const lock = `${queue.toKey('job-0')}:lock`;
  const token = await space.redis.get(lock);
  await space.redis.del(lock);
  await expect.poll(() => space.redis.get(lock), { timeout: 5000 }).toBe(token);
  const lost = once(worker, 'lockRenewalFailed');
  await space.redis.set(lock, 'another');
  expect(await lost).toEqual([['job-0']]);
  expect(await space.redis.get(lock)).toBe('another');
  finish();
});

test('a worker takes a failed attempt up again after the policy’s delay', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'simulator'));
  const retry = { attempts: 3, baseDelayMs: 10, maxDelayMs: 20 };
  const job = {
    batchId: newBatchId(),
    index: 0,
    customId: 'a',
    url: '/v1/completions' as const,
    body: { model: 'echo' },
    bytes: 9,
  };
  let attempts = 0;
  const worker = space.keep(
    openWorker(
      async () => {
        attempts++;
        if (attempts < 3) throw new Error('not yet');
      },
      { ...workerOptions('simulator'), retry },
    ),
  );
  const completed = once(worker, 'completed');
  await queue.add('request', job, requestJobOptions(job, 0, retry));
  await completed;
  expect(attempts).toBe(3);
});

test('a worker that is back looks for dead ones later, where others may come back too', async () => {
  const lane = 'simulator';
  const connection = space.connect();
  space.keep(openWorker(async () => {}, { ...workerOptions(lane), connection }));
  const lock = `${space.keys.laneJob(lane, 'job-0')}:lock`;
  await space.redis.set(lock, 'another');
  await space.redis.lpush(space.keys.laneJobs(lane, 'active'), 'job-0');
  const nextCheck = space.keys.laneJobs(lane, 'stalled-check');
  await space.redis.set(nextCheck, 'never', 'PX', 60_000);
  const comeBack = async (): Promise<number> => {
    const back = once(connection, 'ready');
    connection.disconnect(true);
    await back;
    // Answered after what the worker asked when it was back.
    await connection.get(nextCheck);
    return space.redis.pttl(nextCheck);
  };
  expect(await comeBack()).toBeGreaterThan(10_000);
  await space.redis.del(lock);
  const waitMs = await comeBack();
  expect(waitMs).toBeGreaterThan(2000);
  expect(waitMs).toBeLessThan(10_000);
  // Coming back again puts nothing off.
  await space.redis.pexpire(nextCheck, 2000);
  expect(await comeBack()).toBeLessThanOrEqual(2000);
});
