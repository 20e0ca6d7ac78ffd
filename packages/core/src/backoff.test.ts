import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffDelayMs } from './backoff.ts';

const policy = { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 };
const justBelowOne = 1 - Number.EPSILON / 2;

test('the upper bound doubles with each attempt until the cap', () => {
  const bounds = [1, 2, 3, 6, 7, 100].map((attempt) => backoffDelayMs(policy, attempt, justBelowOne));
  expect(bounds).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
});

test('the delay is uniform from 0 to the bound', () => {
  expect([0, 0.25, 0.5].map((random) => backoffDelayMs(policy, 3, random))).toEqual([0, 1000, 2000]);
});

test('any policy gives whole milliseconds within its bounds', () => {
  const anyPolicy = fc.record({
    attempts: fc.integer({ min: 1, max: 100 }),
    baseDelayMs: fc.nat(1e9),
    maxDelayMs: fc.nat(1e9),
  });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(anyPolicy, fc.integer({ min: 1, max: 100 }), random, (any, attempt, drawn) => {
      const delayMs = backoffDelayMs(any, attempt, drawn);
      expect(Number.isInteger(delayMs)).toBe(true);
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(any.maxDelayMs);
      expect(delayMs).toBeLessThanOrEqual(any.baseDelayMs * 2 ** (attempt - 1));
    }),
  );
});
