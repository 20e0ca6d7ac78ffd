import { encodeSegmentEntry, newBatchId, noUsage, splitSegmentEntries } from '@promptmill/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type BatchStore,
  createBatchStore,
  createResultRecorder,
  createResultsStream,
  type RecordedResults,
  type ResultRecorder,
  type ResultsStream,
} from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const longMs = 60_000;

let space: RedisSpace;
let store: BatchStore;
let recorder: ResultRecorder;
let first: ResultsStream;
let second: ResultsStream;

const collector = (consumer: string): ResultsStream =>
  createResultsStream({ redis: space.redis, blocking: space.connect(), keys: space.keys, consumer });

beforeEach(async () => {
  space = openRedisSpace();
  store = createBatchStore(space.redis, space.keys);
  recorder = createResultRecorder(space.redis, space.keys);
  first = collector('first');
  second = collector('second');
  await Promise.all([first.ensureGroup(), second.ensureGroup(), first.ensureGroup()]);
});

afterEach(() => space.close());

const startBatch = async (total: number): Promise<string> => {
  const batch = newBatch();
  await store.create(batch);
  await store.transition(batch.id, 'in_progress', createdAt * 1000, { total });
  return batch.id;
};

const record = (batchId: string, index: number) =>
  recorder.record({ batchId, index, bytes: 100 }, index % 2 ? 'failed' : 'completed', `{"index":${index}}`, noUsage);

/** Records results one after another: each is an entry of its own. */
const recordAll = async (batchId: string, count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await record(batchId, index);
};

/** Records results in one turn of the event loop: they share an entry. */
const recordTogether = (batchId: string, indexes: readonly number[]) =>
  Promise.all(indexes.map((index) => record(batchId, index)));

const idsOf = (results: readonly RecordedResults[]): string[] => results.map(({ streamId }) => streamId);
const indexesOf = (results: readonly RecordedResults[]): number[] =>
  results.flatMap(({ entries }) => splitSegmentEntries(entries).map(({ index }) => index));
const bytesOf = (results: readonly RecordedResults[]): number =>
  results.reduce((sum, { entries }) => sum + entries.length, 0);

const consumers = async (): Promise<string[]> => {
  const rows = (await space.redis.xinfo('CONSUMERS', space.keys.results, 'collectors')) as string[][];
  return rows.map((row) => row[1] ?? '').sort();
};

test('a result is read as it was recorded, also when it was recorded before there was a collector', async () => {
  await space.redis.del(space.keys.results);
  const id = await startBatch(2);
  await record(id, 1);
  await first.ensureGroup();
  expect(await first.read(10, 1)).toEqual([
    {
      streamId: expect.stringMatching(/^\d+-\d+$/),
      batchId: id,
      left: 1,
      count: 1,
      entries: Buffer.from(
        encodeSegmentEntry({ index: 1, status: 'failed', bytes: 100, nanoUsd: 0, line: '{"index":1}' }),
      ),
    },
  ]);
});

test('collectors share the results; none is read twice', async () => {
  const id = await startBatch(20);
  await recordAll(id, 20);
  const pages = [await first.read(7, 1), await second.read(7, 1), await first.read(7, 1), await second.read(7, 1)];
  expect(pages.map(({ length }) => length)).toEqual([7, 7, 6, 0]);
  expect(new Set(indexesOf(pages.flat())).size).toBe(20);
});

test('a read waits for the first result', async () => {
  const id = await startBatch(1);
  const reading = first.read(10, longMs);
  await record(id, 0);
  expect(indexesOf(await reading)).toEqual([0]);
});

test('a batch is ready at the commit of its last result, and not before', async () => {
  const id = await startBatch(3);
  await recordAll(id, 3);
  const results = await first.read(10, 1);
  expect(await first.commit(id, '0-0-a', results.slice(0, 1))).toBe('partial');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 1, ready: false });
  expect(await first.commit(id, '1-2-b', results.slice(1))).toBe('ready');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 3, ready: true });
  expect(await store.segments(id)).toEqual(['0-0-a', '1-2-b']);
  expect(await space.redis.xlen(space.keys.results)).toBe(0);
});

test('a batch whose last results are still to come is not ready, though all recorded ones are collected', async () => {
  const id = await startBatch(3);
  await recordAll(id, 2);
  expect(await first.commit(id, '0-1-a', await first.read(10, 1))).toBe('partial');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 2, ready: false });
});

test('two collectors that commit the same results count them once', async () => {
  const id = await startBatch(4);
  await recordAll(id, 4);
  const results = await first.read(10, 1);
  expect((await second.claim(10, 0)).results).toEqual(results);
  const states = await Promise.all([first.commit(id, '0-3-a', results), second.commit(id, '0-3-b', results)]);
  expect(states).toEqual(['ready', 'ready']);
  expect(await store.dispatchState(id)).toMatchObject({ collected: 4, ready: true });
  expect(await store.segments(id)).toHaveLength(1);
});

test('commits that overlap count each result once and list both segments', async () => {
  const id = await startBatch(4);
  await recordAll(id, 4);
  const results = await first.read(10, 1);
  expect(await first.commit(id, '0-2-a', results.slice(0, 3))).toBe('partial');
  expect(await second.commit(id, '1-3-b', results.slice(1))).toBe('ready');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 4 });
  expect(await store.segments(id)).toEqual(['0-2-a', '1-3-b']);
});

test('results that were recorded together share an entry, and each of them is counted', async () => {
  const id = await startBatch(7);
  await recordTogether(id, [4, 0, 5]);
  await recordTogether(id, [2, 1]);
  const results = await first.read(10, 1);
  expect(results.map(({ count, left }) => [count, left])).toEqual([
    [3, 4],
    [2, 2],
  ]);
  expect(indexesOf(results)).toEqual([4, 0, 5, 2, 1]);
  expect(await first.commit(id, '0-5-a', results.slice(0, 1))).toBe('partial');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 3, uncollected: 2 });
  // A claim may bring an entry again that was committed.
  expect(await second.commit(id, '0-5-b', results)).toBe('partial');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 5, uncollected: 0 });
  await recordTogether(id, [3, 6]);
  expect(await first.commit(id, '3-6-c', await first.read(10, 1))).toBe('ready');
});

test('a batch knows the bytes of its results that are on the stream', async () => {
  const id = await startBatch(6);
  const uncollectedBytes = async () => Number(await space.redis.hget(space.keys.batch(id), 'uncollectedBytes'));
  await recordTogether(id, [0, 1, 1]);
  await record(id, 2);
  await record(id, 2);
  const results = await first.read(10, 1);
  expect(indexesOf(results)).toEqual([0, 1, 2]);
  expect(await uncollectedBytes()).toBe(bytesOf(results));
  await first.commit(id, '0-1-a', results.slice(0, 1));
  expect(await uncollectedBytes()).toBe(bytesOf(results.slice(1)));
  await second.commit(id, '0-2-b', results);
  expect(await uncollectedBytes()).toBe(0);
});

test('a segment may hold more results than Lua unpacks at once', async () => {
  // Lua 5.1's C stack ends at 8000.
  const total = 9000;
  const id = await startBatch(total);
  for (let from = 0; from < total; from += 3) await recordTogether(id, [from, from + 1, from + 2]);
  const results = await first.read(total, 1);
  expect(results).toHaveLength(total / 3);
  expect(await first.commit(id, '0-8999-a', results)).toBe('ready');
  expect(await store.dispatchState(id)).toMatchObject({ collected: total });
  expect(await space.redis.xlen(space.keys.results)).toBe(0);
});

test('a sealed batch is ready once its recorded results are collected', async () => {
  const id = await startBatch(9);
  await recordAll(id, 3);
  const results = await first.read(10, 1);
  await store.stop(id, 'expired', Date.now());
  expect(await first.commit(id, '0-0-a', results.slice(0, 1))).toBe('partial');
  await store.seal(id, 9);
  expect(await store.dispatchState(id)).toMatchObject({ collected: 1, ready: false });
  expect(await first.commit(id, '1-2-b', results.slice(1))).toBe('ready');
  expect(await store.dispatchState(id)).toMatchObject({ collected: 3, ready: true });
});

test('results of a batch that is gone leave the stream and make no record', async () => {
  const id = await startBatch(1);
  await record(id, 0);
  const results = await first.read(10, 1);
  await space.redis.del(space.keys.batch(id));
  expect(await first.commit(id, '0-0-a', results)).toBe('partial');
  expect(await space.redis.xlen(space.keys.results)).toBe(0);
  expect(await space.redis.exists(space.keys.batch(id), space.keys.segments(id))).toBe(0);
});

test('entries that a dead collector held are claimed by another, and by nobody while they are fresh', async () => {
  const id = await startBatch(5);
  await recordAll(id, 5);
  const held = await first.read(10, 1);
  expect((await second.claim(10, longMs)).results).toEqual([]);
  expect((await second.claim(10, 0)).results).toEqual(held);
  expect((await second.claim(10, longMs)).results).toEqual([]);
  expect(await second.commit(id, '0-4-a', held)).toBe('ready');
  expect((await first.claim(10, 0)).results).toEqual([]);
});

test('a claim skips entries that were committed meanwhile', async () => {
  const id = await startBatch(2);
  await recordAll(id, 2);
  const [a] = idsOf(await first.read(10, 1));
  await space.redis.xdel(space.keys.results, a ?? '');
  expect(indexesOf((await second.claim(10, 0)).results)).toEqual([1]);
});

test('a collector that leaves is removed from the group, unless it still holds results', async () => {
  const id = await startBatch(2);
  await recordAll(id, 2);
  const held = await first.read(1, 1);
  await second.commit(id, '1-1-a', await second.read(1, 1));
  expect(await consumers()).toEqual(['first', 'second']);
  await first.leave();
  await second.leave();
  expect(await consumers()).toEqual(['first']);
  await first.commit(id, '0-0-b', held);
  await first.leave();
  expect(await consumers()).toEqual([]);
});

test('a consumer that was silent for long is removed, unless it holds results', async () => {
  const id = await startBatch(2);
  await recordAll(id, 2);
  await first.read(1, 1);
  await second.commit(id, '1-1-a', await second.read(1, 1));
  await first.forgetDead(longMs);
  expect(await consumers()).toEqual(['first', 'second']);
  await first.forgetDead(-1);
  expect(await consumers()).toEqual(['first']);
});

test('a missing batch has no segments', async () => {
  expect(await store.segments(newBatchId())).toEqual([]);
});

test('why a batch waits is noted once, until its next segment or status', async () => {
  const id = await startBatch(3);
  const [full, torn] = [
    { code: 'no_space', message: 'Full.' },
    { code: 'torn_segment', message: 'Torn.' },
  ];
  expect(await store.block(id, full)).toBe(true);
  expect(await store.block(id, full)).toBe(false);
  expect(await store.block(id, torn)).toBe(true);
  expect(await store.get(id)).toMatchObject({ blocked: torn });

  await recordAll(id, 2);
  expect(await store.dispatchState(id)).toMatchObject({ uncollected: 2 });
  await first.commit(id, '0-1-a', await first.read(10, 1));
  expect(await store.get(id)).not.toHaveProperty('blocked');
  expect(await store.dispatchState(id)).toMatchObject({ uncollected: 0 });

  await store.block(id, full);
  await store.transition(id, 'cancelling', createdAt * 1000);
  expect(await store.get(id)).not.toHaveProperty('blocked');
});

test('a batch that is gone is not blocked', async () => {
  const id = newBatchId();
  expect(await store.block(id, { code: 'no_space', message: '' })).toBe(false);
  expect(await space.redis.exists(space.keys.batch(id))).toBe(0);
});

test('a claim goes on where it stopped, until it has looked at all held entries', async () => {
  const id = await startBatch(30);
  await recordAll(id, 30);
  await first.read(30, 1);
  const claimed: number[] = [];
  for (let more = true; more;) {
    const page = await second.claim(7, 0);
    claimed.push(...indexesOf(page.results));
    ({ more } = page);
  }
  expect(claimed.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, index) => index));
});
