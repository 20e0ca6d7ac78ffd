import type { LaneLimits } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  changeLaneLimits,
  createLaneControl,
  hasJobs,
  type LaneControl,
  type LaneLimitChanges,
  readLaneErrors,
  readLaneLimits,
  readTokensThisMinute,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let lanes = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

const nameLane = (): string => `lane${lanes++}`;

/** A worker that opens the lane with limits of its configuration. */
const openAs = async (name: string, limits: LaneLimits, hasKey = true): Promise<LaneControl> => {
  const control = createLaneControl(space.redis, space.keys, name);
  await control.setLimits({ limits, startWidth: 8, probeIntervalMs: 1000, hasKey });
  return control;
};
const change = (name: string, changes: LaneLimitChanges) => changeLaneLimits(space.redis, space.keys, name, changes);
const read = (name: string) => readLaneLimits(space.redis, space.keys, name);
const concurrencyOf = async (name: string) =>
  Number(await space.redis.hget(space.keys.laneJobs(name, 'meta'), 'concurrency'));
const admit = (control: LaneControl, count = 20) =>
  control.admit(
    Array.from({ length: count }, () => 10),
    60_000,
  );

const tenEachMinute = { count: 10, windowMs: 60_000 };

describe('limits that an admin has changed', () => {
  it('are in force from the next call on, in place of the configured ones', async () => {
    const name = nameLane();
    const control = await openAs(name, { concurrency: 4 });
    expect(await admit(control)).toMatchObject({ granted: 20 });
    await change(name, { concurrency: 9, requests: tenEachMinute });
    expect(await concurrencyOf(name)).toBe(9);
    expect(await admit(control)).toMatchObject({ waitFor: 'requests' });
    expect(await read(name)).toEqual({
      configured: { concurrency: 4 },
      changed: { concurrency: 9, requests: tenEachMinute },
      hasKey: true,
    });
  });

  it('outlast workers that start, or come back with another configuration', async () => {
    const name = nameLane();
    const first = await openAs(name, { concurrency: 4 });
    await change(name, { concurrency: 2, tokensPerMinute: 100 });
    const second = await openAs(name, { concurrency: 50, requests: tenEachMinute });
    expect(await concurrencyOf(name)).toBe(2);
    await first.restoreLimits();
    await space.redis.del(space.keys.laneLimits(name));
    expect(await admit(second)).toMatchObject({ waitFor: 'requests' });
    expect(await concurrencyOf(name)).toBe(2);
    expect(await read(name)).toMatchObject({ changed: { concurrency: 2, tokensPerMinute: 100 } });
  });

  it('may be set before any worker has opened the lane', async () => {
    const name = nameLane();
    await change(name, { concurrency: 3 });
    expect(await read(name)).toEqual({ changed: { concurrency: 3 } });
    await openAs(name, {});
    expect(await concurrencyOf(name)).toBe(3);
  });

  it('can be taken back, one at a time', async () => {
    const name = nameLane();
    const control = await openAs(name, { requests: { count: 1000, windowMs: 1000 } });
    await change(name, { concurrency: 3, requests: tenEachMinute });
    await change(name, { requests: null });
    expect(await read(name)).toMatchObject({ changed: { concurrency: 3 } });
    expect((await admit(control)).granted).toBeGreaterThan(10);
    await change(name, { concurrency: null });
    expect(await concurrencyOf(name)).toBe(8);
    expect((await read(name)).changed).toEqual({});
  });

  it('tell the workers whether calls must come with an estimate of their tokens', async () => {
    const name = nameLane();
    const control = await openAs(name, {});
    expect(control.limitsTokens()).toBe(false);
    await change(name, { tokensPerMinute: 100_000 });
    await admit(control, 1);
    expect(control.limitsTokens()).toBe(true);
    expect((await openAs(name, {})).limitsTokens()).toBe(true);
    await change(name, { tokensPerMinute: null });
    await admit(control, 1);
    expect(control.limitsTokens()).toBe(false);
  });
});

it('a lane knows whether its worker has a key', async () => {
  const name = nameLane();
  expect((await read(name)).hasKey).toBeUndefined();
  await openAs(name, {}, false);
  expect((await read(name)).hasKey).toBe(false);
});

it('a lane has jobs as long as one waits, is in work or is kept', async () => {
  const name = nameLane();
  await openAs(name, {});
  expect(await hasJobs(space.redis, space.keys, name)).toBe(false);
  await space.redis.zadd(space.keys.laneJobs(name, 'failed'), 1, 'job');
  expect(await hasJobs(space.redis, space.keys, name)).toBe(true);
});

it('a lane remembers how its provider failed, each way once and the latest first', async () => {
  const name = nameLane();
  const control = await openAs(name, {});
  const fail = async (signal: 'ok' | 'overloaded' | 'refused', reason: string): Promise<void> => {
    const { atMs: grantedAtMs } = await admit(control, 1);
    await control.reportEnd({ signal, reason, grantedAtMs, estimatedTokens: 10 });
    const [at = ''] = await space.redis.time();
    // So that each has a time of its own.
    await expect.poll(async () => (await space.redis.time())[1]).not.toBe(at);
  };
  await fail('overloaded', 'request_timeout');
  await fail('refused', 'permission_denied (403)');
  await fail('overloaded', 'request_timeout');
  await fail('ok', 'bad_request (400)');
  const errors = await readLaneErrors(space.redis, space.keys, name);
  expect(errors.map(({ reason }) => reason)).toEqual(['request_timeout', 'permission_denied (403)']);
  expect(errors[0]?.atMs).toBeGreaterThan(Date.now() - 60_000);
  expect(await space.redis.ttl(space.keys.laneErrors(name))).toBeGreaterThan(80_000);
});

it('tells the tokens of the last minute, also when no call has come since', async () => {
  const name = nameLane();
  const control = await openAs(name, { tokensPerMinute: 100_000 });
  const tokens = (nowMs: number) => readTokensThisMinute(space.redis, space.keys, name, nowMs);
  expect(await tokens(Date.now())).toBe(0);
  const { atMs } = await admit(control, 3);
  const counted = await tokens(atMs);
  expect(counted).toBeGreaterThanOrEqual(10);
  expect(await tokens(atMs + 59_000)).toBe(counted);
  expect(await tokens(atMs + 61_000)).toBe(0);
});
