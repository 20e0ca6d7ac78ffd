import { readLineHead, scratchFolder } from '@promptmill/core';
import { mergeSegments } from '@promptmill/files';
import { noFailPoints, type PassFailPoint } from '@promptmill/runtime';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { createPrepareBatch } from '../src/copies/prepare-batch.ts';
import { answerTo, type CopySpace, nanoUsd, openCopySpace } from './support/copy-space.ts';

let space: CopySpace;
let passFailPoint: PassFailPoint;

beforeEach(async () => {
  passFailPoint = noFailPoints;
  space = await openCopySpace(inject('redisUrl'), (point) => passFailPoint(point));
});
afterEach(() => space.close());

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Whose result each request has, by index: its own, or that of the request it is a copy of. */
const sources = async (id: string): Promise<Record<number, string>> => {
  const merged = mergeSegments(space.files, id, await space.batches.segments(id), `${scratchFolder(id)}test/`);
  const entries = (await Array.fromAsync(merged)).flat();
  return Object.fromEntries(
    entries.map(({ index, line }) => {
      const { customId, note } = readLineHead(line);
      return [index, `${customId} ${note.copied_from ?? 'called'}`];
    }),
  );
};

/** Answers all that has a job, step by step, until the batch has nothing left to do. Returns what had a job. */
const run = async (id: string, window?: number): Promise<number[]> => {
  const called: number[] = [];
  for (let { done } = await space.step(id, window); !done; { done } = await space.step(id, window)) {
    const jobs = await space.jobs(id);
    called.push(...jobs);
    if (jobs.length > 0) await space.answer(id, jobs);
  }
  return called;
};

test('each question is called once, and the others get copies', async () => {
  const { id } = await space.start(['a', 'b', 'a', 'c', 'b', 'a'], { dedupe: true });
  expect(await run(id)).toEqual([0, 1, 3]);
  expect(await sources(id)).toEqual({
    0: 'c0 called',
    1: 'c1 called',
    2: 'c2 c0',
    3: 'c3 called',
    4: 'c4 c1',
    5: 'c5 c0',
  });
  const { batch, state } = await space.read(id);
  expect(batch).toMatchObject({
    completed: 6,
    usage: { inputTokens: 6, outputTokens: 9 },
    cost: { spentNanoUsd: 3 * nanoUsd },
    copies: { made: 3, expected: 3, savedNanoUsd: 3 * nanoUsd, unpriced: 0 },
  });
  expect(state).toMatchObject({ ready: true, outstanding: 0, outstandingBytes: expect.any(Number) });
});

test('without the option each request is called', async () => {
  const { id } = await space.start(['a', 'a', 'a']);
  await space.step(id);
  expect(await space.jobs(id)).toEqual([0, 1, 2]);
});

test('repeats take no place in the window', async () => {
  // 900 repeats of the first stand before 100 other questions.
  const texts = [...range(0, 900).map(() => 'same'), ...range(0, 100).map((i) => `other ${i}`)];
  const { id } = await space.start(texts, { dedupe: true });
  await space.step(id);
  await space.step(id, 60);
  const jobs = await space.jobs(id);
  expect(jobs).toEqual([0, ...range(900, 959)]);
  expect((await space.read(id)).state).toMatchObject({ outstanding: 60, dispatched: 959 });
  await space.answer(id, jobs);
  await run(id, 60);
  expect((await space.read(id)).batch).toMatchObject({ completed: 1000, copies: { made: 899 } });
});

test('a repeat whose first has failed gets its error', async () => {
  const { id } = await space.start(['a', 'a'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0], () => ({ kind: 'error', code: 'request_timeout', message: 'too slow' }));
  await run(id);
  expect((await space.read(id)).batch).toMatchObject({ completed: 0, failed: 2, copies: { made: 1 } });
  expect(await sources(id)).toEqual({ 0: 'c0 called', 1: 'c1 c0' });
});

test('a crash between a segment of copies and its commit costs no copy, and none counts twice', async () => {
  // Each answer has a megabyte, so that the copies need several segments.
  const { id } = await space.start(
    range(0, 12).map(() => 'a'),
    { dedupe: true },
  );
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0], () => answerTo('x'.repeat(1024 * 1024)));
  let passes = 0;
  passFailPoint = (point) => {
    if (point === 'copies-written' && ++passes === 2) throw new Error('killed');
  };
  await expect(space.step(id)).rejects.toThrow('killed');
  const half = (await space.read(id)).batch;
  expect(half.completed).toBeGreaterThan(1);
  expect(half.completed).toBeLessThan(12);
  await run(id);
  expect((await space.read(id)).batch).toMatchObject({ completed: 12, copies: { made: 11 } });
  expect(Object.values(await sources(id)).filter((source) => source.endsWith(' c0'))).toHaveLength(11);
});

test('the repeats are found again when their list is gone', async () => {
  const { id } = await space.start(['a', 'b', 'a'], { dedupe: true });
  await space.step(id);
  await space.files.deletePrefix(scratchFolder(id));
  expect(await run(id)).toEqual([0, 1]);
  expect((await space.read(id)).batch).toMatchObject({ completed: 3, copies: { made: 1 } });
});

test('a torn segment blocks the copies', async () => {
  const { id } = await space.start(['a', 'a'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0]);
  const [segment = ''] = await space.batches.segments(id);
  await space.files.put(`segments/${id}/${segment}`, 'torn');
  await expect(space.step(id)).rejects.toMatchObject({ code: 'torn_segment' });
});

test('results that are gone block the copies', async () => {
  const { id } = await space.start(['a', 'b', 'a', 'b'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0]);
  await space.answer(id, [1]);
  const [segment = ''] = await space.batches.segments(id);
  await space.files.delete(`segments/${id}/${segment}`);
  await expect(space.step(id)).rejects.toMatchObject({ code: 'results_missing' });
  expect(await sources(id)).toEqual({ 1: 'c1 called', 3: 'c3 c1' });
});

test('copies that Redis has lost are committed again from their segment', async () => {
  const { id } = await space.start(['a', 'b', 'a', 'a'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0, 1]);
  const { redis, keys } = space;
  const of = [keys.batch(id), keys.settledBits(id), keys.segments(id)];
  const before = await Promise.all(of.map((key) => redis.dumpBuffer(key)));
  await space.step(id);
  const after = await space.read(id);
  expect(after.batch.completed).toBe(4);
  await Promise.all(of.map((key, i) => redis.restore(key, 0, before[i] ?? '', 'REPLACE')));
  expect((await space.read(id)).batch.completed).toBe(2);
  await space.reconcile(id);
  expect(await space.read(id)).toEqual(after);
});

test('a batch that is counted again has its copies', async () => {
  const { id } = await space.start(['a', 'b', 'a', 'c', 'b'], { dedupe: true });
  await run(id);
  const { redis, keys } = space;
  const before = await space.read(id);
  // What Redis has when its append-only file ended within the effects of a script.
  await redis.hset(keys.batch(id), { completed: 4, copied: 7, waitingRepeats: 1, savedNanoUsd: 1, copiedAhead: 2 });
  await space.reconcile(id);
  expect(await space.read(id)).toEqual(before);
});

test('a batch that is counted again knows which repeats wait', async () => {
  const { id } = await space.start(['a', 'b', 'a', 'c', 'b'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0, 1]);
  const before = await space.read(id);
  expect(before.state.outstanding).toBe(1);
  await space.redis.hset(space.keys.batch(id), { completed: 1, waitingRepeats: 0 });
  await space.reconcile(id);
  expect(await space.read(id)).toEqual(before);
  await run(id);
  expect((await space.read(id)).batch.completed).toBe(5);
});

test('a batch that is stopped while its input is read is not read to its end', async () => {
  const { id } = await space.start(
    range(0, 1000).map(() => 'a'),
    { dedupe: true },
  );
  const snapshot = await space.read(id);
  let nowMs = 0;
  let asked = 0;
  const prepare = createPrepareBatch({
    batches: space.batches,
    copies: space.copying.copies,
    files: space.files,
    hashOf: () => {
      asked++;
      return 'a';
    },
    findAnswers: async function* () {},
    openWriter: () => ({ add: async () => true, flush: async () => true }),
    passFailPoint: noFailPoints,
    // It looks whether the batch is stopped with each chunk.
    now: () => (nowMs += 1000),
  });
  await space.batches.stop(id, 'cancelled', Date.now());
  await prepare(snapshot);
  expect(asked).toBe(250);
  expect((await space.read(id)).state.repeatList).toBeUndefined();
});

test('a batch that is stopped gets no more copies', async () => {
  const { id } = await space.start(['a', 'a'], { dedupe: true });
  await space.step(id);
  await space.step(id);
  await space.answer(id, [0]);
  await space.batches.stop(id, 'cancelled', Date.now());
  await space.step(id);
  expect((await space.read(id)).batch).toMatchObject({ completed: 1 });
  expect((await space.read(id)).state).toMatchObject({ outstanding: 0, uncollected: 0 });
});
