import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { encodeSegmentEntry, fileKey, newBatchId, segmentFolder, splitSegmentEntries } from '@promptmill/core';
import { type FileStore, writeSegment } from '@promptmill/files';
import type { BatchStore, FileRecords, NewBatch, ResultsStream } from '@promptmill/queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFinalizeBatch } from '../src/finalize-batch.ts';
import { answerLine, type CollectorSpace, createdAt, inputOf, openCollectorSpace } from './collector-space.ts';

const nowMs = (createdAt + 60) * 1000;
const now = () => nowMs;

let space: CollectorSpace;
let files: FileStore;
let batches: BatchStore;
let records: FileRecords;
let stream: ResultsStream;
let finalize: (batchId: string) => Promise<'finalized' | 'nothing to do'>;

beforeEach(async () => {
  space = await openCollectorSpace();
  ({ files, batches, records } = space);
  stream = space.openStream('test');
  await stream.ensureGroup();
  finalize = createFinalizeBatch({ batches, records, files, now });
});

afterEach(() => space.close());

const startBatch = async (total: number, more: Partial<NewBatch> = {}): Promise<NewBatch> => {
  const batch = await space.startBatch(total, more);
  await space.putInput(batch, inputOf(total));
  return batch;
};

/** Records and collects an answer for each index, in this order, `perSegment` to a segment. */
const answer = async (
  batch: NewBatch,
  indexes: readonly number[],
  succeeds: (index: number) => boolean = () => true,
  perSegment = 4,
): Promise<void> => {
  await space.record(batch, indexes, succeeds);
  for (;;) {
    const results = await stream.read(perSegment, 1);
    if (results.length === 0) return;
    const split = results.flatMap(({ entries }) => splitSegmentEntries(entries));
    const name = await writeSegment(files, batch.id, split);
    await stream.commit(batch.id, name, results);
  }
};

const twoOfThree = (index: number): boolean => index % 3 > 0;

const contentOf = async (fileId: string): Promise<string> => text(await files.get(fileKey(fileId)));

const customIdsOf = (content: string): string[] =>
  content
    .slice(0, -1)
    .split('\n')
    .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);

/** Passes all calls on to `files`, but keeps each stream that it opened, and refuses to put some files. */
const watchStore = (putFails: (key: string) => boolean) => {
  const opened: Readable[] = [];
  const store: FileStore = {
    ...files,
    async get(...request) {
      const stream = await files.get(...request);
      opened.push(stream);
      return stream;
    },
    async put(key, source, options) {
      if (putFails(key)) throw new Error('the disk is full');
      return files.put(key, source, options);
    },
  };
  return { store, opened };
};

test('results go to the output and the error file in input order, and the batch is completed', async () => {
  const batch = await startBatch(10, { outputExpiresAfterSeconds: 3600 });
  await answer(batch, [9, 0, 3, 7, 1, 8, 2, 6, 5, 4], twoOfThree);
  expect(await finalize(batch.id)).toBe('finalized');

  const indexes = Array.from({ length: 10 }, (_, i) => i);
  const linesWhere = (success: boolean): string =>
    indexes
      .filter((i) => twoOfThree(i) === success)
      .map((i) => `${answerLine(batch.id, i, success)}\n`)
      .join('');
  expect(await contentOf(batch.outputFileId)).toBe(linesWhere(true));
  expect(await contentOf(batch.errorFileId)).toBe(linesWhere(false));
  expect(await batches.get(batch.id)).toMatchObject({
    status: 'completed',
    finalizingAt: nowMs / 1000,
    completedAt: nowMs / 1000,
    outputPublished: true,
    errorPublished: true,
    total: 10,
    completed: 6,
    failed: 4,
  });
  expect(await records.get('acme', batch.outputFileId)).toEqual({
    id: batch.outputFileId,
    tenant: 'acme',
    filename: `${batch.id}_output.jsonl`,
    purpose: 'batch_output',
    bytes: await files.size(fileKey(batch.outputFileId)),
    createdAt: nowMs / 1000,
    expiresAt: nowMs / 1000 + 3600,
  });
  expect(await Array.fromAsync(files.list(`scratch/${batch.id}/`))).toEqual([]);
});

test.each([
  ['the error file when all succeed', true],
  ['the output file when all fail', false],
])('there is no file without a line: not %s', async (_, succeeds) => {
  const batch = await startBatch(3);
  await answer(batch, [0, 1, 2], () => succeeds);
  await finalize(batch.id);
  expect(await batches.get(batch.id)).toMatchObject({
    status: 'completed',
    outputPublished: succeeds,
    errorPublished: !succeeds,
  });
  const absent = succeeds ? batch.errorFileId : batch.outputFileId;
  expect(await files.size(fileKey(absent))).toBeUndefined();
  expect(await records.get('acme', absent)).toBeUndefined();
});

test('there is nothing to do for a batch that is missing, has results to come, or has ended', async () => {
  expect(await finalize(newBatchId())).toBe('nothing to do');
  const batch = await startBatch(2);
  await answer(batch, [0]);
  expect(await finalize(batch.id)).toBe('nothing to do');
  expect(await batches.get(batch.id)).toMatchObject({ status: 'in_progress' });
  await answer(batch, [1]);
  expect(await finalize(batch.id)).toBe('finalized');
  const ended = await batches.get(batch.id);
  expect(await finalize(batch.id)).toBe('nothing to do');
  expect(await batches.get(batch.id)).toEqual(ended);
});

test('when two collectors finalize a batch at once, one of them ends it', async () => {
  const batch = await startBatch(4);
  await answer(batch, [0, 1, 2, 3]);
  const outcomes = await Promise.all([finalize(batch.id), finalize(batch.id)]);
  expect(outcomes.toSorted()).toEqual(['finalized', 'nothing to do']);
});

test('finalizing again after a crash before the status was set gives the same bytes', async () => {
  const batch = await startBatch(6);
  await answer(batch, [5, 1, 3, 0, 2, 4], (index) => index !== 2);
  // Two collectors wrote this one, and one of them died before it took its results off the stream.
  const line = answerLine(batch.id, 3, true);
  const entry = Buffer.from(encodeSegmentEntry({ index: 3, status: 'completed', bytes: 100, line }));
  await writeSegment(files, batch.id, [{ index: 3, entry }]);
  const crash: BatchStore = {
    ...batches,
    async transition(id, to, ...more) {
      if (to === 'completed') throw new Error('killed');
      return batches.transition(id, to, ...more);
    },
  };
  await expect(createFinalizeBatch({ batches: crash, records, files, now })(batch.id)).rejects.toThrow('killed');
  const before = [await contentOf(batch.outputFileId), await contentOf(batch.errorFileId)];
  expect(await batches.get(batch.id)).toMatchObject({ status: 'finalizing', outputPublished: false });

  expect(await finalize(batch.id)).toBe('finalized');
  expect([await contentOf(batch.outputFileId), await contentOf(batch.errorFileId)]).toEqual(before);
  expect(await batches.get(batch.id)).toMatchObject({ status: 'completed', completed: 5, failed: 1 });
});

test('several collectors that finalize at once end the batch once, with the same bytes', async () => {
  const batch = await startBatch(20);
  await answer(
    batch,
    Array.from({ length: 20 }, (_, i) => 19 - i),
  );
  await Promise.all(Array.from({ length: 4 }, () => finalize(batch.id)));
  expect(customIdsOf(await contentOf(batch.outputFileId))).toEqual(
    Array.from({ length: 20 }, (_, i) => `request-${i + 1}`),
  );
  expect(await batches.get(batch.id)).toMatchObject({ status: 'completed', completed: 20, failed: 0 });
});

test.each(['cancelled', 'expired'] as const)(
  'a batch that is %s has a line for each request that never ran',
  async (reason) => {
    const batch = await startBatch(7);
    await answer(batch, [4, 1, 5], (index) => index !== 5);
    if (reason === 'cancelled') await batches.transition(batch.id, 'cancelling', nowMs, { stopping: reason });
    else await batches.stop(batch.id, reason, nowMs);
    expect(await finalize(batch.id)).toBe('nothing to do');
    await batches.seal(batch.id, 7);
    expect(await finalize(batch.id)).toBe('finalized');

    expect(customIdsOf(await contentOf(batch.outputFileId))).toEqual(['request-2', 'request-5']);
    const errors = await contentOf(batch.errorFileId);
    expect(customIdsOf(errors)).toEqual(['request-1', 'request-3', 'request-4', 'request-6', 'request-7']);
    expect(errors.split('\n')[3]).toBe(answerLine(batch.id, 5, false));
    expect(JSON.parse(errors.split('\n')[0] ?? '')).toMatchObject({
      response: null,
      error: { code: `batch_${reason}` },
    });
    expect(await batches.get(batch.id)).toMatchObject({ status: reason, total: 7, completed: 2, failed: 5 });
  },
);

test.each([
  [
    'a line can no longer be read',
    (input: string) => input.replace('"custom_id":"request-2"', '"custom_id":"request-2'),
  ],
  ['a line is gone', (input: string) => input.replace(/\{.*request-2.*\}/, '')],
])('an input of which %s holds up its batch, until it is restored', async (_, change) => {
  const batch = await startBatch(4);
  await answer(batch, [2]);
  await batches.transition(batch.id, 'cancelling', nowMs, { stopping: 'cancelled' });
  await batches.seal(batch.id, 4);
  const input = inputOf(4);
  await space.putInput(batch, change(input));
  await expect(finalize(batch.id)).rejects.toMatchObject({ code: 'input_changed' });
  expect(await batches.get(batch.id)).toMatchObject({ status: 'cancelling', outputPublished: false });

  await space.putInput(batch, input);
  expect(await finalize(batch.id)).toBe('finalized');
  expect(customIdsOf(await contentOf(batch.outputFileId))).toEqual(['request-3']);
  expect(customIdsOf(await contentOf(batch.errorFileId))).toEqual(['request-1', 'request-2', 'request-4']);
});

test('a batch cancelled before anything ran has only its error file', async () => {
  const batch = await startBatch(3);
  await batches.transition(batch.id, 'cancelling', nowMs, { stopping: 'cancelled' });
  await batches.seal(batch.id, 3);
  await finalize(batch.id);
  expect(customIdsOf(await contentOf(batch.errorFileId))).toEqual(['request-1', 'request-2', 'request-3']);
  expect(await batches.get(batch.id)).toMatchObject({
    status: 'cancelled',
    outputPublished: false,
    total: 3,
    failed: 3,
  });
});

test('a batch cancelled before its input was found to be bad has no files', async () => {
  const batch = await startBatch(0);
  await space.putInput(batch, `${inputOf(2)}not JSON\n`);
  await batches.transition(batch.id, 'cancelling', nowMs, { stopping: 'cancelled' });
  await batches.seal(batch.id, 0);
  expect(await finalize(batch.id)).toBe('finalized');
  expect(await batches.get(batch.id)).toMatchObject({
    status: 'cancelled',
    outputPublished: false,
    errorPublished: false,
  });
});

test('a batch that expires while it is finalizing is completed: it has all of its results', async () => {
  const batch = await startBatch(2);
  await answer(batch, [0, 1]);
  await batches.transition(batch.id, 'finalizing', nowMs);
  await batches.stop(batch.id, 'expired', nowMs);
  expect(await finalize(batch.id)).toBe('finalized');
  expect(await batches.get(batch.id)).toMatchObject({ status: 'completed', completed: 2, failed: 0 });
});

/** Does what a faulty disk does to the batch's first segment, and gives back what undoes it. */
const damageSegment = async ({ id }: NewBatch, damage: (content: string) => string | undefined) => {
  const [segment] = await Array.fromAsync(files.list(segmentFolder(id)));
  const key = segment?.key ?? '';
  const content = await text(await files.get(key));
  const damaged = damage(content);
  await (damaged === undefined ? files.delete(key) : files.put(key, damaged));
  return { name: key.slice(segmentFolder(id).length), restore: () => files.put(key, content) };
};

test.each(['completed', 'cancelled'] as const)(
  'a lost segment holds up a batch that is %s, and ends nothing, until it is restored',
  async (status) => {
    const batch = await startBatch(8);
    await answer(batch, [0, 1, 2, 3, 4, 5, 6].concat(status === 'completed' ? [7] : []));
    if (status === 'cancelled') {
      await batches.transition(batch.id, 'cancelling', nowMs, { stopping: status });
      await batches.seal(batch.id, 8);
    }
    const { restore } = await damageSegment(batch, () => undefined);
    await expect(finalize(batch.id)).rejects.toMatchObject({ code: 'results_missing' });
    expect(await batches.get(batch.id)).toMatchObject({ outputPublished: false, errorPublished: false });
    expect(await files.size(fileKey(batch.outputFileId))).toBeUndefined();
    expect(await records.get('acme', batch.outputFileId)).toBeUndefined();

    await restore();
    expect(await finalize(batch.id)).toBe('finalized');
    expect(await batches.get(batch.id)).toMatchObject({ status, completed: status === 'completed' ? 8 : 7 });
  },
);

test.each([
  ['cut within a line', (content: string) => content.slice(0, -10)],
  ['cut between lines', (content: string) => content.slice(0, content.lastIndexOf('\n', content.length - 2) + 1)],
  ['emptied', () => ''],
  ['changed within a line', (content: string) => content.replace('xxx', 'xyx')],
  ['filled with zeros', (content: string) => '\0'.repeat(content.length)],
])('a segment that was %s holds up its batch, and leaves no half-written file', async (_, damage) => {
  const batch = await startBatch(9);
  await answer(batch, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const { name, restore } = await damageSegment(batch, damage);
  await expect(finalize(batch.id)).rejects.toMatchObject({
    code: 'torn_segment',
    message: expect.stringContaining(name),
  });
  expect(await batches.get(batch.id)).toMatchObject({ status: 'finalizing', outputPublished: false });
  expect(await files.size(fileKey(batch.outputFileId))).toBeUndefined();
  expect(await files.removeAbandoned(0)).toBe(0);

  await restore();
  expect(await finalize(batch.id)).toBe('finalized');
});

test('wrong counts of a batch are corrected from its files', async () => {
  const batch = await startBatch(3);
  await answer(batch, [0, 1, 2]);
  await space.redis.hset(space.keys.batch(batch.id), { completed: 2, failed: 1 });
  await finalize(batch.id);
  expect(await batches.get(batch.id)).toMatchObject({ status: 'completed', total: 3, completed: 3, failed: 0 });
});

test('an attempt that fails deletes the segments that merging wrote', async () => {
  // Each segment spans the middle: too many to be open at once.
  const batch = await startBatch(260);
  const pairs = Array.from({ length: 130 }, (_, index) => [index, 130 + index]).flat();
  await answer(batch, pairs, () => true, 2);
  const { store, opened } = watchStore((key) => key.startsWith('files/'));
  await expect(createFinalizeBatch({ batches, records, files: store, now })(batch.id)).rejects.toThrow('disk is full');
  expect(opened.length).toBeGreaterThan(130);
  expect(await Array.fromAsync(files.list(`scratch/${batch.id}/`))).toEqual([]);
});

test.each(['completed', 'cancelled'] as const)(
  'a disk that is full before a batch is %s leaves nothing open and nothing behind; once there is room it ends',
  async (status) => {
    const batch = await startBatch(9);
    await answer(batch, [8, 0, 7, 1, 6, 2, 5, 3], () => true, 2);
    if (status === 'completed') await answer(batch, [4]);
    else {
      await batches.transition(batch.id, 'cancelling', nowMs, { stopping: status });
      await batches.seal(batch.id, 9);
    }
    const { store, opened } = watchStore((key) => key.startsWith('files/'));
    await expect(createFinalizeBatch({ batches, records, files: store, now })(batch.id)).rejects.toThrow(
      'disk is full',
    );
    expect(opened.length).toBeGreaterThan(0);
    expect(opened.filter(({ destroyed }) => !destroyed)).toEqual([]);
    expect(await files.size(fileKey(batch.outputFileId))).toBeUndefined();
    expect(await records.list('acme', { limit: 10, order: 'desc' })).toEqual({ items: [], hasMore: false });

    expect(await finalize(batch.id)).toBe('finalized');
    expect(await batches.get(batch.id)).toMatchObject({ status });
  },
);
