import { newBatchId, noCost, noUsage } from '@promptmill/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type BatchStore,
  type Charge,
  createBatchStore,
  createResultRecorder,
  createUsageRecords,
  type ModelUsage,
} from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const usage = { inputTokens: 3, cachedTokens: 2, outputTokens: 5, reasoningTokens: 1 };

let space: RedisSpace;
let store: BatchStore;
let days = 0;

beforeAll(() => {
  space = openRedisSpace();
  store = createBatchStore(space.redis, space.keys);
});
afterAll(() => space.close());

/** A batch in progress, and a recorder on a day that no other test has. */
const start = async (total = 10) => {
  const nowMs = Date.UTC(2026, 0, ++days, 23, 59);
  const day = `2026-01-${String(days).padStart(2, '0')}`;
  const batch = newBatch();
  await store.create(batch);
  await store.transition(batch.id, 'in_progress', createdAt * 1000, { total });
  const recorder = createResultRecorder(space.redis, space.keys, () => nowMs);
  const records = createUsageRecords(space.redis, space.keys);
  const { id, tenant } = batch;
  const charge = (nanoUsd: number | undefined, model = 'xai/a'): Charge => ({
    tenant,
    model,
    nanoUsd,
    inputCharacters: 9,
  });
  return {
    id,
    recorder,
    charge,
    key: space.keys.usage(tenant, day),
    answer: (index: number, of: Charge | undefined) =>
      recorder.record({ batchId: id, index, bytes: 1 }, 'completed', '{}', of ? usage : noUsage, of),
    cost: async () => (await store.get(id))?.cost,
    used: async () => new Map((await records.ofDay(tenant, day)).map((each) => [each.model, each])),
  };
};

const sums = (more: Partial<ModelUsage>): ModelUsage => ({
  model: 'xai/a',
  answers: 0,
  inputCharacters: 0,
  ...noUsage,
  ...noCost,
  ...more,
});

test('costs add up exactly, for the batch and for its tenant by day and model', async () => {
  const { answer, charge, cost, used, key } = await start();
  // More than a 32-bit number holds, and together a number that Redis must not write as 1e+13.
  await Promise.all([0, 1, 2].map((index) => answer(index, charge(3_333_333_333_333))));
  await answer(3, charge(1, 'openai/b'));
  await answer(4, undefined);
  expect(await cost()).toEqual({ ...noCost, spentNanoUsd: 10_000_000_000_000 });
  const a = { answers: 3, inputTokens: 9, cachedTokens: 6, outputTokens: 15, reasoningTokens: 3, inputCharacters: 27 };
  expect([...(await used()).keys()].sort()).toEqual(['openai/b', 'xai/a']);
  expect((await used()).get('xai/a')).toEqual(sums({ ...a, spentNanoUsd: 9_999_999_999_999 }));
  expect((await used()).get('openai/b')).toMatchObject({ answers: 1, spentNanoUsd: 1 });
  expect(await space.redis.ttl(key)).toBeGreaterThan(399 * 86_400);
});

test('an unknown cost is counted as such, and never as 0', async () => {
  const { answer, charge, cost, used } = await start();
  await answer(0, charge(5));
  await answer(1, charge(undefined));
  expect(await cost()).toEqual({ ...noCost, spentNanoUsd: 5, unpriced: 1 });
  expect((await used()).get('xai/a')).toMatchObject({ answers: 2, spentNanoUsd: 5, unpriced: 1 });
});

test('a second answer to a request is waste; so is a failed call that says what it used', async () => {
  const { id, recorder, answer, charge, cost, used } = await start();
  await answer(0, charge(5));
  expect(await answer(0, charge(6))).toBe('duplicate');
  await answer(0, charge(undefined));
  await recorder.noteWaste(id, charge(100));
  await recorder.noteWaste(id, charge(undefined));
  const wasted = { spentNanoUsd: 5, wastedNanoUsd: 106, unpricedWaste: 2 };
  expect(await cost()).toEqual({ ...noCost, ...wasted });
  const tokens = { inputTokens: 3, cachedTokens: 2, outputTokens: 5, reasoningTokens: 1, inputCharacters: 9 };
  expect((await used()).get('xai/a')).toEqual(sums({ answers: 1, ...tokens, ...wasted }));
});

test('waste that comes after the end of a batch counts for its tenant, and changes the batch no more', async () => {
  const { id, recorder, answer, charge, used } = await start(1);
  await answer(0, charge(5));
  await store.transition(id, 'finalizing', createdAt * 1000);
  await store.transition(id, 'completed', createdAt * 1000);
  const before = await space.redis.hgetall(space.keys.batch(id));
  await answer(0, charge(6));
  await recorder.noteWaste(id, charge(100));
  expect(await space.redis.hgetall(space.keys.batch(id))).toEqual(before);
  expect((await used()).get('xai/a')).toMatchObject({ spentNanoUsd: 5, wastedNanoUsd: 106 });
});

test('waste of a batch that was removed leaves no record behind', async () => {
  const { recorder, charge } = await start();
  const id = newBatchId();
  await recorder.noteWaste(id, charge(1));
  await recorder.record({ batchId: id, index: 0, bytes: 1 }, 'completed', '{}', usage, charge(1));
  expect(await space.redis.exists(space.keys.batch(id))).toBe(0);
});

test('a day holds a bounded number of models, whatever names a tenant makes up', async () => {
  const { answer, charge, used } = await start(1000);
  for (let from = 0; from < 1000; from += 50)
    await Promise.all(Array.from({ length: 50 }, (_, i) => answer(from + i, charge(1, `vllm/made-up:${from + i}`))));
  const models = await used();
  expect(models.size).toBeLessThan(250);
  const all = [...models.values()];
  expect(all.reduce((sum, { answers }) => sum + answers, 0)).toBe(1000);
  expect(all.reduce((sum, { spentNanoUsd }) => sum + spentNanoUsd, 0)).toBe(1000);
  expect(models.get('other')?.answers).toBeGreaterThan(700);
});

test('answers of a flex tier are counted apart, with what they cost', async () => {
  const { id, answer, charge } = await start();
  const flex = (nanoUsd: number | undefined): Charge => ({ ...charge(nanoUsd), isFlex: true });
  expect((await store.get(id))?.flex).toBeUndefined();
  await Promise.all([answer(0, flex(5)), answer(1, flex(6)), answer(2, charge(20)), answer(3, flex(undefined))]);
  // The second answer of a request counts for nothing but waste.
  await answer(0, flex(7));
  expect(await store.get(id)).toMatchObject({
    flex: { answers: 3, nanoUsd: 11 },
    cost: { spentNanoUsd: 31, unpriced: 1, wastedNanoUsd: 7 },
  });
});
