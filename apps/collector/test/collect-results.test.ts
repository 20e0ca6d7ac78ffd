import { segmentFolder, splitSegmentEntries } from '@promptmill/core';
import { type FileStore, FileStoreError } from '@promptmill/files';
import type { NewBatch } from '@promptmill/queue';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collectResults } from '../src/collect-results.ts';
import { createMoveAnswers } from '../src/move-answers.ts';
import { type CollectorSpace, openCollectorSpace } from './collector-space.ts';

let space: CollectorSpace;
let running: { close(): Promise<void> }[];
let ready: string[];
let errors: unknown[];
let blocked: [batchId: string, code: string][];

beforeEach(async () => {
  space = await openCollectorSpace();
  running = [];
  ready = [];
  errors = [];
  blocked = [];
});

afterEach(async () => {
  await Promise.all(running.map((collector) => collector.close()));
  await space.close();
});

const startCollector = (
  consumer: string,
  { files = space.files, now = Date.now }: { files?: FileStore; now?: () => number } = {},
) => {
  const collector = collectResults({
    stream: space.openStream(consumer),
    files,
    moveAnswers: createMoveAnswers({ ...space, files, now }),
    now,
    onReady: async (batchId) => void ready.push(batchId),
    onSegment: () => {},
    onBlocked: async (batchId, { code }) => void blocked.push([batchId, code]),
    onError: (error) => errors.push(error),
  });
  running.push(collector);
  return collector;
};

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The indexes in a batch's segments, one list for each segment. */
const collected = async ({ id }: NewBatch): Promise<number[][]> => {
  const segments = await Array.fromAsync(space.files.list(segmentFolder(id)));
  return Promise.all(
    segments.map(async ({ key }) => {
      const content = await buffer(await space.files.get(key));
      return splitSegmentEntries(content).map(({ index }) => index);
    }),
  );
};

const untilReady = (batch: NewBatch) => expect.poll(() => ready).toContain(batch.id);

const streamLength = (): Promise<number> => space.redis.xlen(space.keys.results);

test('two collectors gather several batches, each result once and sorted in its segment', async () => {
  startCollector('first');
  startCollector('second');
  const batches = await Promise.all([60, 80, 1].map((total) => space.startBatch(total)));
  await Promise.all(
    batches.map((batch, i) => space.record(batch, range([60, 80, 1][i] ?? 0).toReversed(), () => true)),
  );
  for (const [i, batch] of batches.entries()) {
    await untilReady(batch);
    const segments = await collected(batch);
    expect(segments.flat().sort((a, b) => a - b)).toEqual(range([60, 80, 1][i] ?? 0));
    for (const indexes of segments) expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
  }
  expect(await streamLength()).toBe(0);
  expect(errors).toEqual([]);
});

test('a batch’s last result is collected at once, whatever else is held', async () => {
  // No time passes: results that are held for later ones stay held.
  startCollector('only', { now: () => 0 });
  const [large, small] = [await space.startBatch(50_000), await space.startBatch(1)];
  await space.record(large, [0], () => true);
  await space.record(small, [0], () => true);
  await untilReady(small);
  expect(await collected(large)).toEqual([]);
});

test('a batch’s last result is collected at once, while another batch’s segment is being written', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const [slow, quick] = [await space.startBatch(1), await space.startBatch(1)];
  const files: FileStore = {
    ...space.files,
    async put(...file) {
      if (file[0].includes(slow.id)) await released;
      return space.files.put(...file);
    },
  };
  startCollector('only', { files });
  await space.record(slow, [0], () => true);
  await expect.poll(async () => (await space.redis.xpending(space.keys.results, 'collectors'))[0]).toBe(1);
  await space.record(quick, [0], () => true);
  try {
    await untilReady(quick);
    expect(ready).toEqual([quick.id]);
  } finally {
    release();
  }
  await untilReady(slow);
});

test('a collector that closes writes what it holds', async () => {
  const pending = async () => (await space.redis.xpending(space.keys.results, 'collectors'))[0];
  const collector = startCollector('only');
  const batch = await space.startBatch(50_000);
  await space.record(batch, [1], () => true);
  await expect.poll(pending).toBe(1);
  const closed = collector.close();
  await space.record(batch, [0], () => true);
  await closed;
  expect(await pending()).toBe(0);
  expect((await collected(batch)).flat()).toContain(1);
});

test('results that a killed collector held or could not write are collected later and counted once', async () => {
  const dead = space.openStream('dead');
  await dead.ensureGroup();
  const [held, refused] = [await space.startBatch(3), await space.startBatch(2)];
  await space.record(held, [0, 1, 2], () => true);
  expect(await dead.read(10, 1)).toHaveLength(3);

  let refusals = 1;
  const files: FileStore = {
    ...space.files,
    async put(...file) {
      if (refusals-- > 0) throw new FileStoreError('no_space', 'the disk is full');
      return space.files.put(...file);
    },
  };
  startCollector('alive', { files });
  await space.record(refused, [0, 1], () => true);
  await Promise.all([untilReady(held), untilReady(refused)]);
  expect(blocked).toEqual([[refused.id, 'no_space']]);
  expect(errors).toEqual([]);
  for (const [batch, count] of [
    [held, 3],
    [refused, 2],
  ] as const) {
    expect(await collected(batch)).toEqual([range(count)]);
    expect(await space.batches.dispatchState(batch.id)).toMatchObject({ collected: count, ready: true });
  }
});
