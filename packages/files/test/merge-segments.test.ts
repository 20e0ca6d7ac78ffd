import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { encodeSegmentEntry, newBatchId, type SegmentEntry, segmentFolder } from '@promptmill/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDiskStore, type FileStore, writeSegment } from '../src/index.ts';
import { mergeSegments, widestOverlap } from '../src/merge-segments.ts';

let directory: string;
let files: FileStore;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'promptmill-merge-'));
  files = createDiskStore({ directory });
});

afterAll(() => rm(directory, { recursive: true }));

const entry = (index: number): SegmentEntry => ({
  index,
  status: index % 3 ? 'completed' : 'failed',
  bytes: 100,
  line: Buffer.from(JSON.stringify({ index, text: 'tab \t 🦔' })),
});

const encoded = (index: number, status = entry(index).status) => ({
  index,
  entry: Buffer.from(encodeSegmentEntry({ ...entry(index), status, line: entry(index).line.toString() })),
});

/** Writes each list of indexes as a segment, in whatever order they are in. */
const writeSegments = async (segments: readonly (readonly number[])[]): Promise<string> => {
  const batchId = newBatchId();
  await Promise.all(
    segments.map((indexes) =>
      writeSegment(
        files,
        batchId,
        indexes.map((index) => encoded(index)),
      ),
    ),
  );
  return batchId;
};

const keysIn = async (folder: string): Promise<string[]> =>
  (await Array.fromAsync(files.list(folder))).map(({ key }) => key.slice(folder.length));

const merge = async (batchId: string, fanIn?: number): Promise<SegmentEntry[]> => {
  const committed = await keysIn(segmentFolder(batchId));
  return (await Array.fromAsync(mergeSegments(files, batchId, committed, `scratch/${batchId}/`, fanIn))).flat();
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('any segments give each index once, in order, however few may be open at once', async () => {
  // Runs of neighbours with stragglers from anywhere, some indexes in several segments.
  const run = fc
    .tuple(fc.nat(40), fc.integer({ min: 1, max: 12 }), fc.array(fc.nat(60), { maxLength: 2 }))
    .map(([from, length, stragglers]) => Array.from(new Set(range(from, from + length).concat(stragglers))));
  const shuffled = run.chain((indexes) => fc.shuffledSubarray(indexes, { minLength: 1 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(shuffled, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 2, max: 5 }),
      async (segments, fanIn) => {
        const indexes = [...new Set(segments.flat())].sort((a, b) => a - b);
        expect(await merge(await writeSegments(segments), fanIn)).toEqual(indexes.map(entry));
      },
    ),
    { numRuns: 50 },
  );
});

test('segments that follow each other need no pass before', async () => {
  const batchId = await writeSegments(range(0, 10).map((i) => range(i * 5, i * 5 + 5)));
  expect(await merge(batchId, 2)).toEqual(range(0, 50).map(entry));
  expect(await keysIn(`scratch/${batchId}/`)).toEqual([]);
});

/** How many segments each pass wrote. */
const passes = async (batchId: string): Promise<number[]> => {
  const keys = await keysIn(`scratch/${batchId}/`);
  return range(0, 4).map((pass) => keys.filter((key) => key.startsWith(`${pass}/`)).length);
};

test('too many overlapping segments are first merged into wider ones, in as many passes as needed', async () => {
  // Each has a straggler near the end: all nine span the middle.
  const batchId = await writeSegments(range(0, 9).map((i) => [i, 90 + i]));
  expect(await merge(batchId, 2)).toEqual([...range(0, 9), ...range(90, 99)].map(entry));
  expect(await passes(batchId)).toEqual([5, 3, 2, 0]);
});

test('a wider segment spans the stragglers of all its segments', async () => {
  const batchId = await writeSegments([
    [0, 99],
    [1, 2],
    [3, 98],
    [4, 5],
    [6, 97],
    [7, 8],
  ]);
  expect(await merge(batchId, 2)).toEqual([...range(0, 9), 97, 98, 99].map(entry));
  expect(await passes(batchId)).toEqual([3, 2, 0, 0]);
});

test('files of an interrupted merge do not appear in the next', async () => {
  const batchId = await writeSegments(range(0, 9).map((i) => [i, 90 + i]));
  const whole = await merge(batchId, 3);
  expect(await keysIn(`scratch/${batchId}/`)).not.toEqual([]);
  expect(await merge(batchId, 3)).toEqual(whole);
});

test('segments that were not committed count when they are whole', async () => {
  const batchId = await writeSegments([[0, 1], [2, 3], [4]]);
  const [first = '', second = ''] = (await keysIn(segmentFolder(batchId))).sort();
  const key = segmentFolder(batchId) + second;
  await files.put(key, (await text(await files.get(key))).slice(0, -1));
  const mergeCommitted = async (...committed: string[]): Promise<SegmentEntry[]> =>
    (await Array.fromAsync(mergeSegments(files, batchId, committed, `scratch/${batchId}/`))).flat();
  expect(await mergeCommitted(first)).toEqual([0, 1, 4].map(entry));
  await expect(mergeCommitted(first, second)).rejects.toMatchObject({ code: 'torn_segment' });
});

test.each([
  ['failed', 'completed'],
  ['completed', 'failed'],
] as const)('of a request that is %s in one segment and %s in another, the success counts', async (...statuses) => {
  const batchId = newBatchId();
  for (const status of statuses)
    await writeSegment(
      files,
      batchId,
      [0, 1, 2].map((index) => encoded(index, status)),
    );
  expect((await merge(batchId)).map(({ index, status }) => [index, status])).toEqual([
    [0, 'completed'],
    [1, 'completed'],
    [2, 'completed'],
  ]);
});

test('a batch without segments has no results', async () => {
  expect(await merge(newBatchId())).toEqual([]);
});

test('files in the folder that are no segments are ignored', async () => {
  const batchId = await writeSegments([[0, 1]]);
  await files.put(`${segmentFolder(batchId)}notes.txt`, 'mine');
  expect(await merge(batchId)).toEqual([0, 1].map(entry));
});

/** Passes all calls on to `files`, but keeps each stream that it opened. */
const watchStore = () => {
  const opened: Readable[] = [];
  const store: FileStore = {
    ...files,
    async get(...request) {
      const stream = await files.get(...request);
      opened.push(stream);
      return stream;
    },
  };
  return { store, opened };
};

test('a merge that is stopped early closes the streams it opened', async () => {
  const batchId = await writeSegments([
    [0, 5],
    [1, 6],
  ]);
  const { store, opened } = watchStore();
  const committed = await keysIn(segmentFolder(batchId));
  for await (const entries of mergeSegments(store, batchId, committed, `scratch/${batchId}/`))
    if (entries.some(({ index }) => index === 1)) break;
  expect(opened.map(({ destroyed }) => destroyed)).toEqual([true, true]);
});

test('a merge that finds a damaged segment closes the streams it opened, wherever the damage is', async () => {
  const batchId = await writeSegments([range(0, 20_000), [5, 30_000]]);
  const committed = await keysIn(segmentFolder(batchId));
  const key = `${segmentFolder(batchId)}${committed.find((name) => name.startsWith('0-'))}`;
  const content = await text(await files.get(key));
  const half = content.length / 2;
  await files.put(key, content.slice(0, half) + content.slice(half).replaceAll('\tcompleted\t', '\tcomplete?\t'));
  const { store, opened } = watchStore();
  const merging = Array.fromAsync(mergeSegments(store, batchId, committed, `scratch/${batchId}/`));
  await expect(merging).rejects.toMatchObject({ code: 'torn_segment' });
  expect(opened.map(({ destroyed }) => destroyed)).toEqual([true, true]);
});

test.each([
  [[], 0],
  [[[0, 9]], 1],
  [
    [
      [0, 4],
      [5, 9],
    ],
    1,
  ],
  [
    [
      [0, 5],
      [5, 9],
    ],
    2,
  ],
  [
    [
      [0, 99],
      [3, 4],
      [5, 9],
      [9, 12],
    ],
    3,
  ],
] as [[number, number][], number][])('of %j, %i share an index', (spans, widest) => {
  expect(widestOverlap(spans.map(([first, last]) => ({ name: '', first, last })))).toBe(widest);
});
