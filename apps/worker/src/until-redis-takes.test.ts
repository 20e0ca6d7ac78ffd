import { DelayedError } from 'bullmq';
import { expect, test, vi } from 'vitest';
import { createUntilRedisTakes } from './until-redis-takes.ts';

const refusal = new Error("OOM command not allowed when used memory > 'maxmemory'.");

const start = () => {
  const stop = new AbortController();
  const onRefused = vi.fn<(error: unknown) => void>();
  const sleep = vi.fn(async (_ms: number) => {});
  return { stop, onRefused, sleep, untilRedisTakes: createUntilRedisTakes({ signal: stop.signal, onRefused, sleep }) };
};

/** Refuses the given number of times, then gives `taken`. */
const refusing = (times: number, error: Error = refusal) => {
  const work = vi.fn(async () => 'taken');
  for (let i = 0; i < times; i++) work.mockRejectedValueOnce(error);
  return work;
};

test('work that Redis takes is done once', async () => {
  const { untilRedisTakes, onRefused } = start();
  const work = refusing(0);
  expect(await untilRedisTakes(work)).toBe('taken');
  expect(work).toHaveBeenCalledTimes(1);
  expect(onRefused).not.toHaveBeenCalled();
});

test('work that Redis refuses is tried again until Redis takes it, at least every 2 s', async () => {
  const { untilRedisTakes, onRefused, sleep } = start();
  expect(await untilRedisTakes(refusing(20))).toBe('taken');
  expect(onRefused.mock.calls).toEqual(Array.from({ length: 20 }, () => [refusal]));
  const waits = sleep.mock.calls.map(([ms]) => ms);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(50);
  expect(waits[0]).toBeLessThanOrEqual(100);
  expect(Math.max(...waits)).toBeLessThanOrEqual(2000);
});

test('a process that must end leaves its job to another process, after one more try', async () => {
  const { untilRedisTakes, stop } = start();
  const work = refusing(2);
  stop.abort();
  await expect(untilRedisTakes(work)).rejects.toBeInstanceOf(DelayedError);
  expect(work).toHaveBeenCalledTimes(1);
});

test('an error that says that another worker has the job is thrown at once', async () => {
  const { untilRedisTakes } = start();
  const lostLock = Object.assign(new Error('Missing lock for job 1'), { code: -2 });
  const work = refusing(1, lostLock);
  await expect(untilRedisTakes(work)).rejects.toBe(lostLock);
  expect(work).toHaveBeenCalledTimes(1);
});
