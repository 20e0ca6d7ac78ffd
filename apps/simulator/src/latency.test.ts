import { createRandom } from '@promptmill/core';
import { expect, test } from 'vitest';
import { sampleLatencyMs } from './latency.ts';

const logNormal = { kind: 'log-normal', medianMs: 200, sigma: 0.5 } as const;

function sampleMany(seed: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: 10_001 }, () => sampleLatencyMs(logNormal, random));
}

test('a fixed latency is always the same', () => {
  expect(sampleLatencyMs({ kind: 'fixed', ms: 50 }, createRandom(1))).toBe(50);
});

test('a log-normal latency has the median and the tail it names', () => {
  const sorted = sampleMany(7).toSorted((a, b) => a - b);
  expect(sorted[5000]! / 200).toBeCloseTo(1, 1);
  expect(sorted[9500]! / 200).toBeCloseTo(Math.exp(0.5 * 1.645), 1);
});

test('the same seed gives the same latencies, another seed others', () => {
  expect(sampleMany(7)).toEqual(sampleMany(7));
  expect(sampleMany(8)).not.toEqual(sampleMany(7));
});
