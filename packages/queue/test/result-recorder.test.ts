import { decodeSegmentEntry, encodeSegmentEntry, noUsage, splitSegmentEntries } from '@promptmill/core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type BatchStore, createBatchStore, createResultRecorder, type ResultRecorder } from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const bytes = 100;
const nowMs = createdAt * 1000;

let space: RedisSpace;
let store: BatchStore;
/** Two workers. */
let recorders: [ResultRecorder, ResultRecorder];
let recorder: ResultRecorder;

beforeAll(() => {
  space = openRedisSpace();
  store = createBatchStore(space.redis, space.keys);
  recorders = [createResultRecorder(space.connect(), space.keys), createResultRecorder(space.connect(), space.keys)];
  [recorder] = recorders;
});

afterAll(() => space.close());

/** A batch in progress with all of its requests dispatched. */
const startBatch = async (total: number): Promise<string> => {
  const batch = newBatch();
  await store.create(batch);
  await store.transition(batch.id, 'in_progress', nowMs, { total });
  const cursor = { dispatched: total, cursorOffset: total * bytes, cursorLine: total + 1, positions: {} };
  await store.advanceCursor(batch.id, 0, cursor);
  return batch.id;
};

const request = (batchId: string, index: number) => ({ batchId, index, bytes });

/** What of a batch is on the results stream, in the order it was recorded. */
const recorded = async (batchId: string): Promise<Record<string, string>[]> => {
  const entries = await space.redis.xrange(space.keys.results, '-', '+');
  const results = entries.map(([, fields]) =>
    Object.fromEntries(Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]])),
  );
  return results.filter(({ batch }) => batch === batchId);
};

/** The results of a batch on the stream, in the order they were recorded. */
const recordedEntries = async (batchId: string) => {
  const blobs = (await recorded(batchId)).map(({ results }) => Buffer.from(results ?? ''));
  return blobs.flatMap(splitSegmentEntries).map(({ entry }) => {
    const { index, status, line } = decodeSegmentEntry(entry.subarray(0, -1));
    return { index, status, line: line.toString() };
  });
};

test('only the first of many results for one request counts', async () => {
  const id = await startBatch(3);
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, turn) =>
      (recorders[turn % 2] ?? recorder).record(request(id, 1), turn % 2 ? 'completed' : 'failed', `{"turn":${turn}}`, {
        ...noUsage,
        inputTokens: 7,
      }),
    ),
  );
  const winner = outcomes.indexOf('recorded');
  expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(39);
  expect(await store.get(id)).toMatchObject({
    completed: winner % 2,
    failed: 1 - (winner % 2),
    usage: { ...noUsage, inputTokens: 7 },
  });
  expect(await store.dispatchState(id)).toMatchObject({ outstanding: 2, outstandingBytes: 2 * bytes });
  const status = winner % 2 ? 'completed' : 'failed';
  const entry = encodeSegmentEntry({ index: 1, status, bytes, nanoUsd: 0, line: `{"turn":${winner}}` });
  expect(await recorded(id)).toEqual([{ batch: id, left: '2', count: '1', results: entry }]);
});

test('requests that are checked or recorded in one turn of the event loop share one call a batch, each with its own answer', async () => {
  const [a, b] = [await startBatch(3), await startBatch(3)];
  await recorder.record(request(a, 0), 'completed', '{}', noUsage);
  const redis = space.connect();
  const watched = createResultRecorder(redis, space.keys);
  await watched.check(request(a, 0));
  await watched.record(request(a, 0), 'completed', '{}', noUsage);
  const calls = vi.spyOn(redis, 'sendCommand');
  const gone = newBatch().id;
  expect(await Promise.all([request(a, 0), request(b, 0), request(a, 1), request(gone, 0)].map(watched.check))).toEqual(
    ['settled', 'run', 'run', 'dropped'],
  );
  expect(calls).toHaveBeenCalledTimes(3);
  const record = (batchId: string, index: number, line = '{}') =>
    watched.record(request(batchId, index), index === 2 ? 'failed' : 'completed', line, noUsage);
  expect(
    await Promise.all([record(a, 1), record(b, 2), record(a, 0), record(gone, 0), record(a, 2), record(a, 1)]),
  ).toEqual(['recorded', 'recorded', 'duplicate', 'sealed', 'recorded', 'duplicate']);
  expect(calls).toHaveBeenCalledTimes(6);
  expect(await store.get(a)).toMatchObject({ completed: 2, failed: 1 });
  expect(await recordedEntries(a)).toMatchObject([{ index: 0 }, { index: 1 }, { index: 2, status: 'failed' }]);
  // More than a group may hold goes out in several.
  await Promise.all(Array.from({ length: 600 }, () => record(b, 1, '{}')));
  expect(calls).toHaveBeenCalledTimes(8);
  await Promise.all(Array.from({ length: 10 }, () => record(b, 1, '"' + 'x'.repeat(100_000) + '"')));
  expect(calls).toHaveBeenCalledTimes(12);
});

test('a call that fails fails for all who share it', async () => {
  const id = await startBatch(2);
  const redis = space.connect();
  const failing = createResultRecorder(redis, space.keys);
  vi.spyOn(redis, 'sendCommand').mockRejectedValue(new Error('OOM'));
  const outcomes = await Promise.allSettled([0, 1].map((index) => failing.check(request(id, index))));
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('counts and usage add up over all requests, and each result says how many are left', async () => {
  const total = 200;
  const id = await startBatch(total);
  const usage = { inputTokens: 3, cachedTokens: 2, outputTokens: 5, reasoningTokens: 1 };
  await Promise.all(
    Array.from({ length: total }, (_, index) =>
      (recorders[index % 2] ?? recorder).record(
        request(id, index),
        index < 150 ? 'completed' : 'failed',
        `{"index":${index}}`,
        index < 150 ? usage : noUsage,
      ),
    ),
  );
  expect(await store.get(id)).toMatchObject({
    completed: 150,
    failed: 50,
    usage: { inputTokens: 450, cachedTokens: 300, outputTokens: 750, reasoningTokens: 150 },
  });
  expect(await store.dispatchState(id)).toMatchObject({ outstanding: 0, outstandingBytes: 0 });
  let left = total;
  for (const entry of await recorded(id)) expect(Number(entry['left'])).toBe((left -= Number(entry['count'])));
  expect(left).toBe(0);
  expect(new Set((await recordedEntries(id)).map(({ index }) => index)).size).toBe(total);
});

test('a line comes through byte for byte', async () => {
  const id = await startBatch(1);
  const line = JSON.stringify({ text: 'tab \t quote " null \0 emoji 🦔 lone \ud800' });
  await recorder.record(request(id, 0), 'completed', line, noUsage);
  expect((await recordedEntries(id))[0]?.line).toBe(line);
});

test('a request is run until it has its result, then it is settled', async () => {
  const id = await startBatch(2);
  expect(await recorder.check(request(id, 0))).toBe('run');
  expect(await recorder.check(request(id, 0))).toBe('run');
  await recorder.record(request(id, 0), 'completed', '{}', noUsage);
  expect(await recorder.check(request(id, 0))).toBe('settled');
  expect(await recorder.check(request(id, 1))).toBe('run');
});

test('a batch that is stopping drops requests that were not called, each counted once', async () => {
  const id = await startBatch(4);
  await recorder.record(request(id, 0), 'completed', '{}', noUsage);
  await store.stop(id, 'cancelled', nowMs);
  const begun = await Promise.all(
    Array.from({ length: 10 }, (_, turn) => (recorders[turn % 2] ?? recorder).check(request(id, 2))),
  );
  expect(begun.filter((state) => state === 'dropped')).toHaveLength(1);
  expect(begun.filter((state) => state === 'settled')).toHaveLength(9);
  expect(await recorder.check(request(id, 0))).toBe('settled');
  expect(await store.dispatchState(id)).toMatchObject({ outstanding: 2, outstandingBytes: 2 * bytes });
  expect(await store.get(id)).toMatchObject({ completed: 1, failed: 0 });
});

test('a request of a paused batch is parked, which its record then says; its bit stays unset', async () => {
  const id = await startBatch(2);
  await recorder.record(request(id, 0), 'completed', '{}', noUsage);
  await store.pause(id, nowMs);
  expect(await recorder.isRunning(id)).toBe(false);
  expect(await recorder.check(request(id, 0))).toBe('settled');
  expect(await store.dispatchState(id)).toMatchObject({ parked: false });
  expect(await recorder.check(request(id, 1))).toBe('paused');
  expect(await store.dispatchState(id)).toMatchObject({ parked: true, outstanding: 1 });
  await store.resume(id);
  expect(await recorder.isRunning(id)).toBe(true);
  expect(await recorder.check(request(id, 1))).toBe('run');
});

test('a paused batch takes the results of calls in flight, and drops its requests when it is stopped', async () => {
  const id = await startBatch(2);
  await store.pause(id, nowMs);
  expect(await recorder.record(request(id, 0), 'completed', '{}', noUsage)).toBe('recorded');
  await store.stop(id, 'expired', nowMs);
  expect(await recorder.check(request(id, 1))).toBe('dropped');
});

test('a call in flight when its batch is stopped is still recorded; a dropped request is not', async () => {
  const id = await startBatch(3);
  expect(await recorder.check(request(id, 0))).toBe('run');
  await store.stop(id, 'expired', nowMs);
  await recorder.check(request(id, 1));
  expect(await recorder.record(request(id, 0), 'completed', '{}', noUsage)).toBe('recorded');
  expect(await recorder.record(request(id, 1), 'completed', '{}', noUsage)).toBe('duplicate');
  expect(await recorded(id)).toMatchObject([{ count: '1', left: '1' }]);
  expect(await recordedEntries(id)).toMatchObject([{ index: 0 }]);
  expect(await store.dispatchState(id)).toMatchObject({ outstanding: 1 });
});

test('a sealed batch takes no result and counts nothing more', async () => {
  const id = await startBatch(2);
  await store.stop(id, 'cancelled', nowMs);
  await store.seal(id, 2);
  const before = [await store.get(id), await store.dispatchState(id)];
  expect(await recorder.check(request(id, 0))).toBe('dropped');
  expect(await recorder.record(request(id, 1), 'completed', '{}', noUsage)).toBe('sealed');
  expect([await store.get(id), await store.dispatchState(id)]).toEqual(before);
  expect(await recorded(id)).toEqual([]);
});

test.each(['finalizing', 'cancelling', 'expired'] as const)(
  'nothing is begun for a batch that is %s',
  async (status) => {
    const id = await startBatch(1);
    await store.transition(id, status, nowMs);
    expect(await recorder.check(request(id, 0))).toBe('dropped');
  },
);

test('a request of a missing batch is dropped, and leaves nothing', async () => {
  const { id } = newBatch();
  expect(await recorder.check(request(id, 0))).toBe('dropped');
  expect(await recorder.record(request(id, 0), 'completed', '{}', noUsage)).toBe('sealed');
  expect(await space.redis.exists(space.keys.batch(id), space.keys.settledBits(id))).toBe(0);
  expect(await recorded(id)).toEqual([]);
});

test('retries are counted while a batch runs, and not once it is over', async () => {
  const id = await startBatch(1);
  await Promise.all([recorder.noteRetry(id), recorder.noteRetry(id)]);
  expect((await store.get(id))?.retries).toBe(2);
  await store.transition(id, 'finalizing', nowMs);
  await recorder.noteRetry(id);
  expect((await store.get(id))?.retries).toBe(2);
  const removed = newBatch().id;
  await recorder.noteRetry(removed);
  expect(await space.redis.exists(space.keys.batch(removed))).toBe(0);
});
