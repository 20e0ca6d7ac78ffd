import type { CallLimits } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountedCall, createTenantCalls, type TenantAnswer, type TenantCalls } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let tenants = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

/** A tenant of its own, as two workers see it. */
const openTenant = (limits: CallLimits) => {
  const tenant = `tenant-${tenants++}`;
  const workers = [space.redis, space.connect()].map((redis) => createTenantCalls(redis, space.keys, () => limits));
  const [one, two] = workers as [TenantCalls, TenantCalls];
  let calls = 0;
  return {
    tenant,
    one,
    two,
    places: space.keys.places(tenant, 'calls'),
    /** Both workers ask for many calls, each in a question of its own. */
    askForMany: async (count: number, estimatedTokens = 0): Promise<TenantAnswer[]> => {
      const asked: Promise<TenantAnswer>[] = [];
      for (let i = 0; i < count; i++) {
        asked.push((i % 2 === 0 ? one : two).admit(tenant, { id: `call-${calls++}`, estimatedTokens }));
        await new Promise(setImmediate);
      }
      return Promise.all(asked);
    },
  };
};

/** The first call that was admitted: with two connections it need not be the first that asked. */
const firstOf = (answers: readonly TenantAnswer[], estimatedTokens = 0): CountedCall => {
  const i = answers.findIndex(({ kind }) => kind === 'admitted');
  const answer = answers[i];
  if (answer?.kind !== 'admitted') throw new Error('no call was admitted');
  return { id: `call-${i}`, estimatedTokens, countedAtMs: answer.atMs };
};

const admitted = (answers: readonly TenantAnswer[]): number => answers.filter(({ kind }) => kind === 'admitted').length;

describe('calls in flight', () => {
  it('are never more than the limit, and each that ends makes room for one', async () => {
    const { tenant, one, two, askForMany } = openTenant({ concurrency: 7 });
    const answers = await askForMany(50);
    expect(admitted(answers)).toBe(7);
    const call = firstOf(answers);
    await Promise.all([one.end(tenant, call, undefined), two.end(tenant, call, undefined)]);
    expect(admitted(await askForMany(10))).toBe(1);
    expect(await one.refusal(tenant, Date.now())).toMatchObject({ limit: 'concurrency' });
  });

  it('that a dead worker does not keep make room', async () => {
    const { tenant, one, places, askForMany } = openTenant({ concurrency: 2 });
    await askForMany(2);
    await space.redis.zadd(places, Date.now() - 1, 'call-0');
    const kept = { id: 'call-1', estimatedTokens: 0, countedAtMs: 0, isSent: true };
    await space.redis.zadd(places, Date.now() + 50, 'call-1');
    await one.keep(tenant, [kept]);
    expect(Number(await space.redis.zscore(places, 'call-1'))).toBeGreaterThan(Date.now() + 5000);
    expect(admitted(await askForMany(5))).toBe(1);
  });
});

describe('calls in a minute', () => {
  it('are never more than the limit; one that did not go out does not count', async () => {
    const { tenant, one, askForMany } = openTenant({ requestsPerMinute: 20 });
    const answers = await askForMany(50);
    expect(admitted(answers)).toBe(20);
    const refused = answers.find(({ kind }) => kind === 'refused');
    expect(refused).toMatchObject({ kind: 'refused', untilCallEnds: false });
    expect(refused?.kind === 'refused' && refused.waitMs).toBeGreaterThan(55_000);
    await one.end(tenant, firstOf(answers), 'unsent');
    expect(admitted(await askForMany(5))).toBe(1);
  });

  it('count from when they go out, not from when they were admitted', async () => {
    const { tenant, one, askForMany } = openTenant({ requestsPerMinute: 1 });
    const [answer] = await askForMany(1);
    if (answer?.kind !== 'admitted') throw new Error('refused');
    // Two slots of the window, so that the call moves to another one.
    await expect
      .poll(() => one.keep(tenant, [{ id: 'call-0', estimatedTokens: 0, countedAtMs: answer.atMs, isSent: false }]))
      .toBeGreaterThan(answer.atMs + 500);
    const [refused] = await askForMany(1);
    expect(refused?.kind === 'refused' && refused.waitMs).toBeGreaterThan(60_000 - 250);
  });
});

describe('tokens in a minute', () => {
  it('are held within the limit by their estimates, and put right when calls end', async () => {
    const { tenant, one, askForMany } = openTenant({ tokensPerMinute: 1000 });
    const answers = await askForMany(20, 100);
    expect(admitted(answers)).toBe(10);
    await one.end(tenant, firstOf(answers, 100), 0);
    expect(admitted(await askForMany(5, 100))).toBe(1);
  });
});
