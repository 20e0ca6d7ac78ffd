import type { CostLimits } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createBatchStore,
  createReservedCosts,
  createResultRecorder,
  createUsageCounter,
  type ReserveAnswer,
  type ReservedCosts,
  type ReservedCost,
} from '../src/index.ts';
import { newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const model = 'xai/m';
const nowMs = Date.parse('2026-05-20T12:00:00Z');
const usage = { inputTokens: 1, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };

let space: RedisSpace;
let tenants = 0;
let calls = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

/** A batch in progress of a tenant of its own. Costs are in billionths of a dollar. */
const openBatch = async (maxCostNanoUsd?: number, limits: CostLimits = {}) => {
  const { redis, keys } = space;
  const tenant = `tenant-${tenants++}`;
  const batches = createBatchStore(redis, keys);
  const batch = newBatch({ tenant, ...(maxCostNanoUsd === undefined ? {} : { maxCostNanoUsd }) });
  await batches.create(batch);
  await batches.transition(batch.id, 'in_progress', nowMs, { total: 1000 });
  const recorder = createResultRecorder(redis, keys, () => nowMs);
  const costs: ReservedCosts = createReservedCosts(
    redis,
    keys,
    () => limits,
    () => nowMs,
  );
  const source = { tenant, batchId: batch.id };
  let index = 0;

  const reserve = (firstNanoUsd = 100, of: typeof source | { tenant: string } = source): Promise<ReserveAnswer> =>
    costs.reserve(of, { id: `call-${calls++}`, model, firstNanoUsd });
  const reserved = async (firstNanoUsd?: number): Promise<ReservedCost> => {
    const answer = await reserve(firstNanoUsd);
    return answer.kind === 'reserved' ? answer : expect.fail(`it is too much for ${answer.limit}`);
  };
  /** The call has an answer. */
  const answer = async (call: ReservedCost, nanoUsd: number | undefined): Promise<void> => {
    const charge = { tenant, model, nanoUsd, inputCharacters: 1 };
    await recorder.record({ batchId: batch.id, index: index++, bytes: 1 }, 'completed', '{}', usage, charge);
    await costs.settle(source, call, nanoUsd ?? 'unknown');
  };
  /** So many calls have had answers of this cost. */
  const learn = async (count: number, nanoUsd: number): Promise<void> => {
    for (let i = 0; i < count; i++) await answer(await reserved(0), nanoUsd);
  };
  return { ...source, batches, costs, source, reserve, reserved, answer, learn, id: batch.id };
};

describe('a batch with max_cost', () => {
  it('lets calls in for as much as they may cost, until enough answers tell their average', async () => {
    const { reserve, reserved, answer } = await openBatch(1000);
    const asked = await Promise.all(Array.from({ length: 12 }, () => reserve(100)));
    expect(asked.filter(({ kind }) => kind === 'reserved')).toHaveLength(10);
    expect(asked.at(-1)).toEqual({ kind: 'refused', limit: 'max_cost' });
    for (const call of asked) if (call.kind === 'reserved') await answer(call, 10);
    expect(await reserved(500)).toMatchObject({ nanoUsd: 10 });
  });

  it('is careful where answers differ much', async () => {
    const { reserved, learn } = await openBatch(100_000);
    await learn(9, 1);
    await learn(1, 91);
    // The average is 10, and twice its standard error 17.
    expect(await reserved()).toMatchObject({ nanoUsd: 28 });
  });

  it('is held by the first call that there is no money for, and goes on when there is', async () => {
    const { id, tenant, batches, costs, learn, reserve, reserved, answer } = await openBatch(130);
    await learn(10, 10);
    const [one] = [await reserved(), await reserved(), await reserved()];
    expect(await reserve()).toMatchObject({ kind: 'refused' });
    expect(await batches.read(id)).toMatchObject({
      batch: { costHold: { limit: 'max_cost' } },
      state: { parked: true },
    });
    const look = () => costs.look({ id, tenant });
    expect(await look()).toEqual({ kind: 'held', limit: 'max_cost', isInFlight: true, spent: 100, most: 130 });
    await answer(one, 1);
    // 29 are left, and two calls of 10 are in flight.
    expect(await look()).toEqual({ kind: 'held', limit: 'max_cost', isInFlight: true, spent: 101, most: 130 });
    const pause = await batches.resume(id, 160);
    expect(pause).toMatchObject({ kind: 'done', pause: { number: 1, maxCostNanoUsd: 160 } });
    expect(await batches.get(id)).toMatchObject({ maxCostNanoUsd: 160 });
    expect((await batches.get(id))?.costHold).toBeUndefined();
    await reserved();
  });

  it('has reached it when nothing is in flight and another call is too dear', async () => {
    const { id, tenant, costs, learn, reserve, batches } = await openBatch(105);
    await learn(10, 10);
    expect(await reserve()).toEqual({ kind: 'refused', limit: 'max_cost' });
    expect(await costs.look({ id, tenant })).toMatchObject({ kind: 'held', isInFlight: false });
    await batches.noteCostReached(id, { at: 7, reason: 'spent' });
    expect((await batches.get(id))?.costHold).toEqual({ limit: 'max_cost', reached: { at: 7, reason: 'spent' } });
  });

  it('gets back what a failed call had, and what a dead worker had once nobody keeps it', async () => {
    const { source, tenant, id, costs, reserve, reserved } = await openBatch(100);
    const failed = await reserved(60);
    expect(await reserve(60)).toMatchObject({ kind: 'refused' });
    await costs.settle(source, failed, undefined);
    expect(await costs.look({ id, tenant })).toEqual({ kind: 'open' });
    const kept = await reserved(30);
    const lost = await reserved(30);
    await costs.keep(source, [kept]);
    const sets = [space.keys.tenantReserved(tenant), space.keys.batchReserved(id)];
    for (const set of sets) await space.redis.zadd(set, 1, `${lost.id} 30`);
    expect(await reserve(80)).toMatchObject({ kind: 'refused' });
    expect(await reserve(70)).toMatchObject({ kind: 'reserved' });
    // It was slow, not dead, and is counted once more.
    await costs.keep(source, [lost]);
    expect(await space.redis.hget(space.keys.batchCosts(id), 'reserved')).toBe('130');
  });

  it('takes an answer of unknown cost for what was reserved', async () => {
    const { id, tenant, costs, reserve, reserved, answer } = await openBatch(100);
    await answer(await reserved(70), undefined);
    await reserved(20);
    expect(await reserve(70)).toMatchObject({ kind: 'refused' });
    expect(await costs.look({ id, tenant })).toMatchObject({ spent: 70 });
  });

  it('lets one call in at a time while nobody knows what calls cost and the money may not be enough for one', async () => {
    const { id, tenant, costs, reserve, reserved, answer } = await openBatch(50);
    const first = await reserved(80);
    expect(await reserve(80)).toMatchObject({ kind: 'refused' });
    await answer(first, 20);
    expect(await costs.look({ id, tenant })).toEqual({ kind: 'open' });
    await answer(await reserved(80), 20);
    expect(await reserve(80)).toMatchObject({ kind: 'refused' });
  });
});

describe('a tenant’s limit', () => {
  it('counts what was spent today, or in this month, by batches and live calls', async () => {
    const { redis, keys } = space;
    const { tenant, reserve, learn } = await openBatch(undefined, { usdPerDay: 1e-6, usdPerMonth: 3e-6 });
    await learn(10, 60);
    const spendLive = async (nanoUsd: number, day: string): Promise<void> => {
      const counter = createUsageCounter(
        redis,
        keys,
        () => {},
        () => Date.parse(`${day}T01:00:00Z`),
      );
      counter.add({ tenant, model, nanoUsd, inputCharacters: 1 }, usage);
      await counter.write();
    };
    await spendLive(300, '2026-05-20');
    expect(await reserve()).toMatchObject({ kind: 'reserved' });
    // 600 and 300 are spent and 60 reserved.
    expect(await reserve()).toEqual({ kind: 'refused', limit: 'usdPerDay' });
    expect(await reserve(30, { tenant })).toMatchObject({ kind: 'reserved' });
    await spendLive(2000, '2026-05-01');
    await spendLive(5000, '2026-04-30');
    const later = createReservedCosts(
      redis,
      keys,
      () => ({ usdPerMonth: 3e-6 }),
      () => nowMs,
    );
    const ask = (firstNanoUsd: number) => later.reserve({ tenant }, { id: `call-${calls++}`, model, firstNanoUsd });
    expect(await ask(20)).toEqual({ kind: 'refused', limit: 'usdPerMonth' });
    expect(await ask(5)).toMatchObject({ kind: 'reserved' });
  });

  it('is another one the next day', async () => {
    const { tenant, costs, learn, reserve } = await openBatch(undefined, { usdPerDay: 1e-7 });
    await learn(10, 10);
    expect(await reserve()).toMatchObject({ kind: 'refused', limit: 'usdPerDay' });
    const tomorrow = createReservedCosts(
      space.redis,
      space.keys,
      () => ({ usdPerDay: 1e-7 }),
      () => nowMs + 86_400_000,
    );
    const { tenant: other } = await openBatch();
    expect(await tomorrow.reserve({ tenant }, { id: 'next', model, firstNanoUsd: 50 })).toMatchObject({
      kind: 'reserved',
    });
    expect(await costs.reserve({ tenant: other }, { id: 'next', model, firstNanoUsd: 50 })).toMatchObject({
      kind: 'reserved',
    });
  });
});
