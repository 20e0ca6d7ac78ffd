import { createRandom } from '@promptmill/core';
import { describe, expect, test } from 'vitest';
import { createRateLimiter, formatReset, type Limits } from './rate-limiter.ts';

function setup(limits: Limits) {
  const clock = { now: 1_000_000.25 };
  const limiter = createRateLimiter(limits, () => clock.now);
  const admits = (tokens = 1) => limiter.admit(tokens).status === 'admitted';
  return { clock, limiter, admits };
}

describe('requests', () => {
  test('the one over the limit is refused until the first has left the window', () => {
    const { clock, limiter, admits } = setup({ requestsPerMinute: 3 });
    expect(admits()).toBe(true);
    clock.now += 10_000;
    expect([admits(), admits(), admits()]).toEqual([true, true, false]);
    expect(limiter.admit(1)).toEqual({ status: 'refused', reason: 'requests', retryAfterMs: 50_000 });
    clock.now += 49_999;
    expect(admits()).toBe(false);
    clock.now += 1;
    expect([admits(), admits()]).toEqual([true, false]);
  });

  test('no window, wherever it starts, holds more than the limit, and no place is wasted', () => {
    const { clock, admits } = setup({ requestsPerMinute: 600, windowMs: 1000 });
    const random = createRandom(3);
    let admitted: number[] = [];
    for (let call = 0; call < 20_000; call++) {
      clock.now += random() * 60;
      admitted = admitted.filter((at) => clock.now - at < 1000);
      expect(admits()).toBe(admitted.length < 10);
      if (admitted.length < 10) admitted.push(clock.now);
    }
  });

  test('refused calls do not count', () => {
    const { clock, admits } = setup({ requestsPerMinute: 1 });
    admits();
    for (let second = 0; second < 59; second++) {
      clock.now += 1000;
      expect(admits()).toBe(false);
    }
    clock.now += 1000;
    expect(admits()).toBe(true);
  });
});

describe('tokens', () => {
  test('of all calls are added up, and a refused call waits for as many as it lacks', () => {
    const { clock, limiter, admits } = setup({ tokensPerMinute: 100 });
    admits(30);
    clock.now += 1000;
    admits(60);
    expect(admits(10)).toBe(true);
    expect(limiter.admit(30)).toEqual({ status: 'refused', reason: 'tokens', retryAfterMs: 59_000 });
    expect(limiter.admit(31)).toEqual({ status: 'refused', reason: 'tokens', retryAfterMs: 60_000 });
    clock.now += 59_000;
    expect(admits(30)).toBe(true);
  });

  test('a call that is over the limit by itself never fits', () => {
    expect(setup({ tokensPerMinute: 100 }).limiter.admit(101)).toMatchObject({ reason: 'tokens', retryAfterMs: null });
  });

  test('a call refused for its tokens takes no request', () => {
    const { admits } = setup({ requestsPerMinute: 1, tokensPerMinute: 100 });
    expect([admits(101), admits(100)]).toEqual([false, true]);
  });
});

test('a place in flight is free again when its call ends', () => {
  const { limiter, admits } = setup({ maxInFlight: 2 });
  expect([admits(), admits(), admits()]).toEqual([true, true, false]);
  limiter.release();
  expect([admits(), admits()]).toEqual([true, false]);
});

test('new limits keep what was counted', () => {
  const { limiter, admits } = setup({ requestsPerMinute: 5 });
  for (let call = 0; call < 5; call++) admits();
  limiter.configure({ requestsPerMinute: 6 });
  expect([admits(), admits()]).toEqual([true, false]);
});

describe('headers', () => {
  test('say the limit, what remains of it and when it is full again', () => {
    const { clock, limiter, admits } = setup({ requestsPerMinute: 3, tokensPerMinute: 100 });
    admits(40);
    clock.now += 20_000;
    expect(limiter.headers()).toEqual({
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '2',
      'x-ratelimit-reset-requests': '40s',
      'x-ratelimit-limit-tokens': '100',
      'x-ratelimit-remaining-tokens': '60',
      'x-ratelimit-reset-tokens': '40s',
    });
    clock.now += 40_000;
    expect(limiter.headers()).toMatchObject({
      'x-ratelimit-remaining-requests': '3',
      'x-ratelimit-remaining-tokens': '100',
      'x-ratelimit-reset-tokens': '0ms',
    });
  });

  test('are absent without a limit by the minute', () => {
    expect(setup({ maxInFlight: 1 }).limiter.headers()).toEqual({});
  });

  test.each([
    [120, '120ms'],
    [999.5, '1s'],
    [1000, '1s'],
    [59_001, '1m0s'],
    [360_000, '6m0s'],
    [90_500, '1m31s'],
  ])('%d ms is written %s', (ms, text) => {
    expect(formatReset(ms)).toBe(text);
  });
});
