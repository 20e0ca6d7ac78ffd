import type { CallEnd } from '@promptmill/queue';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createEndReporter } from './report-ends.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const openReporter = (refusal?: Error) => {
  const told: CallEnd[] = [];
  const errors: unknown[] = [];
  const reporter = createEndReporter({
    control: {
      async reportEnd(end) {
        if (refusal) throw refusal;
        told.push(end);
        return { heldUntilMs: 0, began: false, atMs: 1, workedAtMs: 0, isLookDue: false };
      },
    },
    onError: (error) => errors.push(error),
  });
  return { reporter, told, errors };
};

it('reports ends together, with the latest time at which one of the calls was admitted', async () => {
  const { reporter, told } = openReporter();
  for (const [atMs, isSuccess] of [
    [5, true],
    [7, false],
    [6, true],
  ] as const)
    reporter.add(atMs, isSuccess);
  await vi.advanceTimersByTimeAsync(49);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  reporter.add(8, false);
  await vi.advanceTimersByTimeAsync(50);
  expect(told).toEqual([
    { signal: 'ok', grantedAtMs: 7, succeededAtMs: 6, estimatedTokens: 0, count: 3 },
    { signal: 'ok', grantedAtMs: 8, succeededAtMs: -1, estimatedTokens: 0, count: 1 },
  ]);
});

it('reports at once when it is asked to, and nothing when there is nothing', async () => {
  const { reporter, told } = openReporter();
  reporter.add(5, true);
  await reporter.report();
  expect(told).toHaveLength(1);
  await reporter.report();
  await vi.runAllTimersAsync();
  expect(told).toHaveLength(1);
});

it('hands on an error of Redis', async () => {
  const { reporter, errors } = openReporter(new Error('LOADING'));
  reporter.add(5, true);
  await vi.runAllTimersAsync();
  expect(errors).toEqual([new Error('LOADING')]);
});
