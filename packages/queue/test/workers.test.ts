import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { newBatchId } from '@promptmill/core';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import {
  type JobLock,
  openLaneQueue,
  openWorker,
  type OpenWorkerOptions,
  toLaneJob,
  type RedisConnection,
} from '../src/index.ts';
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
    tenant: 'acme',
    batchId: newBatchId(),
    index: 0,
    customId: 'a',
    url: '/v1/chat/completions' as const,
    body: { model: 'echo' },
    bytes: 100,
  };
  await queue.addBulk([toLaneJob(job, 0, { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 })]);
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
  let held: JobLock | undefined;
  const process = (_job: unknown, lock: JobLock): Promise<void> => {
    held = lock;
    return finished;
  };
  const worker = space.keep(openWorker(process, workerOptions('simulator')));
  const taken = once(worker, 'active');
  await queue.add('request', { index: 0 } as never, { jobId: 'job-0' });
  await taken;
  const lock = `${queue.toKey('job-0')}:lock`;
  const token = await space.redis.get(lock);
  await space.redis.del(lock);
  await expect.poll(() => space.redis.get(lock), { timeout: 5000 }).toBe(token);
  expect(held?.isHeld).toBe(true);
  await space.redis.set(lock, 'another');
  await expect.poll(() => held?.isHeld, { timeout: 5000 }).toBe(false);
  expect(await space.redis.get(lock)).toBe('another');
  finish();
});

test('a job that its own process takes again has two locks', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'simulator'));
  const runs: { lock: JobLock; end: () => void }[] = [];
  const process = (_job: unknown, lock: JobLock): Promise<void> =>
    new Promise((resolve) => runs.push({ lock, end: resolve }));
  space.keep(openWorker(process, { ...workerOptions('simulator'), concurrency: 2 }));
  await queue.add('request', { index: 0 } as never, { jobId: 'job-0' });
  await expect.poll(() => runs.length).toBe(1);
  // As if the process was stopped: the lock runs out, and a stalled check puts the job back.
  await space.redis
    .multi()
    .del(`${queue.toKey('job-0')}:lock`)
    .lrem(queue.toKey('active'), 1, 'job-0')
    .rpush(queue.toKey('wait'), 'job-0')
    .zadd(queue.toKey('marker'), 0, '0')
    .exec();
  await expect.poll(() => runs.length, { timeout: 10_000 }).toBe(2);
  await expect.poll(() => runs[0]?.lock.isHeld, { timeout: 5000 }).toBe(false);
  runs[0]?.end();
  const lock = `${queue.toKey('job-0')}:lock`;
  await space.redis.pexpire(lock, 3000);
  await expect.poll(() => space.redis.pttl(lock), { timeout: 5000 }).toBeGreaterThan(3000);
  expect(runs[1]?.lock.isHeld).toBe(true);
  runs[1]?.end();
});

test('a job that lends its place lets the worker take one more until it ends, and no more than it may', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'simulator'));
  const ends: (() => void)[] = [];
  const process = (_job: unknown, _lock: JobLock, lendPlace: () => void): Promise<void> => {
    lendPlace();
    return new Promise((resolve) => ends.push(resolve));
  };
  const worker = space.keep(openWorker(process, { ...workerOptions('simulator'), mostLent: 2 }));
  for (let index = 0; index < 6; index++) await queue.add('request', { index } as never, { jobId: `job-${index}` });
  await expect.poll(() => ends.length).toBe(3);
  expect(worker.concurrency).toBe(3);
  ends[0]?.();
  await expect.poll(() => ends.length).toBe(4);
  expect(await queue.getActiveCount()).toBe(3);
  for (let count = 1; count < 6; count++) {
    await expect.poll(() => ends.length).toBeGreaterThan(count);
    ends[count]?.();
  }
  await expect.poll(() => worker.concurrency).toBe(1);
});

test('a failed attempt is followed by another after the policy’s delay', async () => {
  const queue = space.keep(openLaneQueue(space.redis, space.keys, 'simulator'));
  const retry = { attempts: 3, baseDelayMs: 10, maxDelayMs: 20 };
  const job = {
    tenant: 'acme',
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
  await queue.addBulk([toLaneJob(job, 0, retry)]);
  await completed;
  expect(attempts).toBe(3);
});

test('the marks of a stalled check soon expire unless other checks follow', async () => {
  const lane = 'simulator';
  space.keep(openWorker(async () => {}, workerOptions(lane)));
  await space.redis.set(`${space.keys.laneJob(lane, 'job-0')}:lock`, 'another');
  await space.redis.lpush(space.keys.laneJobs(lane, 'active'), 'job-0');
  await expect.poll(() => space.redis.pttl(space.keys.laneJobs(lane, 'stalled'))).toBeGreaterThan(0);
});

describe('a worker that is back after an outage', () => {
  const lane = 'simulator';
  const now = performance.now.bind(performance);
  let connection: RedisConnection;
  let lock: string;
  let nextCheck: string;

  beforeEach(async () => {
    connection = space.connect();
    space.keep(openWorker(async () => {}, { ...workerOptions(lane), connection }));
    lock = `${space.keys.laneJob(lane, 'job-0')}:lock`;
    nextCheck = space.keys.laneJobs(lane, 'stalled-check');
    await space.redis.set(lock, 'another');
    await space.redis.lpush(space.keys.laneJobs(lane, 'active'), 'job-0');
    await space.redis.set(nextCheck, 'never', 'PX', 60_000);
  });

  /** How long stalled checks are put off after it. */
  const comeBack = async (outageMs: number): Promise<number> => {
    const back = once(connection, 'ready');
    connection.disconnect(true);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + outageMs);
    await back;
    vi.restoreAllMocks();
    // Answered after what the worker asked when it was back.
    await connection.get(nextCheck);
    return space.redis.pttl(nextCheck);
  };

  test('looks for dead workers at once when all locks hold', async () => {
    expect(await comeBack(7000)).toBeGreaterThan(10_000);
  });

  test('waits for other workers when locks ran out, but not again and again', async () => {
    await space.redis.del(lock);
    const waitMs = await comeBack(7000);
    expect(waitMs).toBeGreaterThan(2000);
    expect(waitMs).toBeLessThan(10_000);
    await space.redis.pexpire(nextCheck, 2000);
    expect(await comeBack(7000)).toBeLessThanOrEqual(2000);
  });

  const onCluster = inject('redisUrl').startsWith('redis+cluster:');
  test.skipIf(onCluster)('waits for nobody when it was too short for a lock to run out', async () => {
    await space.redis.del(lock);
    expect(await comeBack(3000)).toBeGreaterThan(10_000);
  });
});
