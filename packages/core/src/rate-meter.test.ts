import { expect, it } from 'vitest';
import { createRateMeter } from './rate-meter.ts';

it('gives the rate of the last 15 s', () => {
  let nowMs = 0;
  const meter = createRateMeter(() => nowMs);
  expect(meter.perSecond()).toBe(0);
  // The first count alone gives no rate: when its requests ended is unknown.
  meter.add(1000);
  expect(meter.perSecond()).toBe(0);
  nowMs = 10_000;
  meter.add(1500);
  expect(meter.perSecond()).toBe(50);
  nowMs = 20_000;
  meter.add(1500);
  expect(meter.perSecond()).toBe(0);
});
