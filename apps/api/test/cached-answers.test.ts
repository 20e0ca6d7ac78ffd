import { fileKey } from '@promptmill/core';
import type { NewBatch } from '@promptmill/queue';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { answerTo, type CopySpace, nanoUsd, openCopySpace } from './support/copy-space.ts';

let space: CopySpace;
beforeAll(async () => {
  space = await openCopySpace(inject('redisUrl'));
});
afterAll(() => space.close());

let tenants = 0;
const newTenant = (): string => `tenant-${++tenants}`;

/** Starts a batch and answers what has a job. Returns the indexes of what had one. */
const run = async (batch: NewBatch): Promise<number[]> => {
  const called: number[] = [];
  for (let { done } = await space.step(batch.id); !done; { done } = await space.step(batch.id)) {
    const jobs = await space.jobs(batch.id);
    called.push(...jobs);
    if (jobs.length > 0) await space.answer(batch.id, jobs, (index) => answerTo(`answer ${index}`));
  }
  const jobs = await space.jobs(batch.id);
  if (jobs.length > 0) await space.answer(batch.id, jobs, (index) => answerTo(`answer ${index}`));
  return [...called, ...jobs];
};

const texts = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `Say ${from + i}`);

const startAndRun = async (asked: readonly string[], more: Partial<NewBatch>) => {
  const batch = await space.start(asked, { cache: '1h', ...more });
  const called = await run(batch);
  return { batch, called, lines: await space.end(batch) };
};

test('answers of an earlier batch of the tenant are copied, and those of another tenant never', async () => {
  const [mine, other] = [newTenant(), newTenant()];
  const first = await startAndRun(texts(0, 20), { tenant: mine });
  expect(first.called).toHaveLength(20);
  expect((await startAndRun(texts(0, 20), { tenant: other })).called).toHaveLength(20);
  const second = await startAndRun(texts(10, 30), { tenant: mine });
  expect(second.called).toEqual(Array.from({ length: 10 }, (_, i) => 10 + i));
  expect(second.lines).toHaveLength(20);
  const line = JSON.parse(second.lines[0] ?? '') as object;
  expect(line).toMatchObject({
    custom_id: 'c0',
    response: { body: { text: 'answer 10' } },
    promptmill: { copied_from: 'c10', copied_from_batch: first.batch.id, cost_usd: 0, saved_usd: nanoUsd / 1e9 },
  });
  expect((await space.read(second.batch.id)).batch).toMatchObject({
    completed: 20,
    cost: { spentNanoUsd: 10 * nanoUsd },
    copies: { made: 10, expected: 10, savedNanoUsd: 10 * nanoUsd, unpriced: 0 },
  });
});

test('a batch without the option takes no answer and leaves none', async () => {
  const tenant = newTenant();
  const batch = await space.start(texts(0, 5), { tenant });
  await run(batch);
  await space.end(batch);
  expect((await startAndRun(texts(0, 5), { tenant })).called).toHaveLength(5);
  expect(await run(await space.start(texts(0, 5), { tenant }))).toHaveLength(5);
});

test('an answer whose file is deleted is not found', async () => {
  const tenant = newTenant();
  const { batch } = await startAndRun(texts(0, 5), { tenant });
  await space.removeFile(tenant, batch.outputFileId);
  expect((await startAndRun(texts(0, 5), { tenant })).called).toHaveLength(5);
});

test('a file that holds something else at the place has no answer there', async () => {
  const tenant = newTenant();
  const { batch, lines } = await startAndRun(texts(0, 3), { tenant });
  await space.files.put(fileKey(batch.outputFileId), lines.join('\n').slice(1));
  expect((await startAndRun(texts(0, 3), { tenant })).called).toHaveLength(3);
});

test('an answer that is older than asked for is not taken', async () => {
  const tenant = newTenant();
  await startAndRun(texts(0, 1), { tenant });
  const key = space.keys.answerPlaces(tenant);
  const [hash = ''] = await space.redis.hkeys(key);
  const place = (await space.redis.hget(key, hash)) ?? '';
  const twoHoursAgo = Math.floor(Date.now() / 1000) - 7200;
  await space.redis.hset(key, hash, place.replace(/\d+$/, String(twoHoursAgo)));
  expect(await run(await space.start(texts(0, 1), { tenant, cache: '1h' }))).toEqual([0]);
  expect(await run(await space.start(texts(0, 1), { tenant, cache: '3h' }))).toEqual([]);
});

test('a copy does not make an answer younger, and an answer of a fallback is not kept', async () => {
  const tenant = newTenant();
  await startAndRun(texts(0, 2), { tenant });
  const key = space.keys.answerPlaces(tenant);
  const places = await space.redis.hgetall(key);
  const again = await startAndRun(texts(0, 2), { tenant });
  expect(again.called).toEqual([]);
  expect(await space.redis.hgetall(key)).toEqual(places);

  const note = { fallback: { model: 'openai/gpt-5', fallbackFrom: 'simulator/echo' } };
  const batch = await space.start(['Ask a fallback'], { tenant, cache: '1h' });
  await space.step(batch.id);
  await space.step(batch.id);
  await space.answer(batch.id, [0], () => answerTo('from elsewhere'), note);
  await space.end(batch);
  expect(await space.redis.hgetall(key)).toEqual(places);
});

test('known answers and repeats go together: what is known is copied, the rest is asked once', async () => {
  const tenant = newTenant();
  await startAndRun(['a', 'b'], { tenant });
  const { called, lines } = await startAndRun(['c', 'a', 'c', 'a', 'd', 'b'], { tenant, dedupe: true });
  expect(called).toEqual([0, 4]);
  expect(lines).toHaveLength(6);
});

test('many known answers ahead of the cursor leave the window open', async () => {
  const tenant = newTenant();
  await startAndRun(texts(0, 600), { tenant });
  const asked = [...texts(1000, 1030), ...texts(0, 600), ...texts(2000, 2030)];
  const batch = await space.start(asked, { tenant, cache: '1h' });
  await space.step(batch.id, 100);
  expect((await space.read(batch.id)).state).toMatchObject({ copiedAhead: 600, outstanding: 0 });
  await space.step(batch.id, 100);
  expect(await space.jobs(batch.id)).toHaveLength(60);
  const { state } = await space.read(batch.id);
  expect(state).toMatchObject({ copiedAhead: 0, outstanding: 60, dispatched: 660 });
});

test('a batch that is prepared again after a crash counts each copy once', async () => {
  const tenant = newTenant();
  await startAndRun(texts(0, 50), { tenant });
  const { id } = await space.start(texts(0, 60), { tenant, cache: '1h' });
  const snapshot = await space.read(id);
  await space.copying.prepare(snapshot);
  await space.copying.prepare(snapshot);
  expect((await space.read(id)).batch).toMatchObject({ completed: 50, copies: { made: 50 } });
});
