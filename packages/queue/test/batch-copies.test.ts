import { noUsage } from '@promptmill/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type BatchCopies,
  type BatchStore,
  createBatchCopies,
  createBatchStore,
  createDispatchedRequests,
  createResultRecorder,
  type DispatchedRequests,
  type NotedRepeats,
} from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let batches: BatchStore;
let copies: BatchCopies;
let requests: DispatchedRequests;

beforeAll(() => {
  space = openRedisSpace();
  batches = createBatchStore(space.redis, space.keys);
  copies = createBatchCopies(space.redis, space.keys);
  requests = createDispatchedRequests(space.redis, space.keys);
});
afterAll(() => space.close());

const total = 6;
/** The requests 1, 3 and 5 repeat others. */
const bits = Buffer.from([0b01010100]);

const startBatch = async (): Promise<string> => {
  const batch = newBatch({ dedupe: true });
  await batches.create(batch);
  await batches.transition(batch.id, 'in_progress', createdAt * 1000, { total });
  return batch.id;
};

const cursorAt = (dispatched: number) => ({ dispatched, cursorOffset: dispatched * 100, cursorLine: 1, positions: {} });

const copyOf = (index: number) => ({ index, status: 'completed' as const, savedNanoUsd: 10 });

const note = (id: string, more: Partial<NotedRepeats> = {}, before?: string) =>
  copies.noteRepeats(id, before, { list: 'list', bits, count: 3, uncalled: 3, ...more });

const readBatch = async (id: string) => {
  const snapshot = await batches.read(id);
  if (!snapshot) throw new Error(`no batch ${id}`);
  return snapshot;
};

test('requests that wait for a copy are not outstanding, nor are they looked for when requests are lost', async () => {
  const id = await startBatch();
  await note(id);
  expect(await requests.states(id, 1, 3)).toEqual([
    { isSettled: false, isRepeat: true, isHandedOff: false },
    { isSettled: false, isRepeat: false, isHandedOff: false },
    { isSettled: false, isRepeat: true, isHandedOff: false },
  ]);
  await batches.advanceCursor(id, 0, cursorAt(total), { repeats: 3, handedOff: 0, copies: 0, bytes: 300 });
  expect(await requests.unsettled(id, total, 9)).toEqual([0, 2, 4]);
  expect((await readBatch(id)).state).toMatchObject({
    outstanding: 3,
    outstandingBytes: 300,
    repeatList: 'list',
    repeats: 3,
  });
});

test('of two processes that note repeats, the second changes nothing', async () => {
  const id = await startBatch();
  await note(id);
  await note(id, { list: 'late', bits: Buffer.alloc(1), count: 0 });
  expect((await readBatch(id)).state).toMatchObject({ repeatList: 'list', repeats: 3 });
  expect(await requests.repeatBits(id)).toEqual(bits);
  await note(id, { list: 'again', count: 2 }, 'list');
  expect((await readBatch(id)).state).toMatchObject({ repeatList: 'again', repeats: 2 });
  const { id: removed } = newBatch();
  await note(removed);
  expect(await batches.read(removed)).toBeUndefined();
  expect(await space.redis.exists(...space.keys.ofBatch(removed))).toBe(0);
});

test('copies that are committed twice count once', async () => {
  const id = await startBatch();
  await note(id);
  await batches.advanceCursor(id, 0, cursorAt(total), { repeats: 3, handedOff: 0, copies: 0, bytes: 300 });
  const made = [copyOf(1), { ...copyOf(3), savedNanoUsd: undefined }, { ...copyOf(5), status: 'failed' as const }];
  expect(await copies.commit(id, '1-5-a', made)).toBe(3);
  expect(await copies.commit(id, '1-5-a', made)).toBe(0);
  // A segment that another process has made of the same copies, and one more.
  expect(await copies.commit(id, '0-5-b', [copyOf(0), ...made])).toBe(1);
  const { batch, state } = await readBatch(id);
  expect(batch).toMatchObject({ completed: 3, failed: 1, usage: noUsage, cost: { spentNanoUsd: 0 } });
  expect(batch.copies).toEqual({ made: 4, expected: 3, savedNanoUsd: 30, unpriced: 1 });
  expect(state).toMatchObject({ collected: 4, uncollected: 0 });
  expect(await batches.segments(id)).toEqual(['1-5-a', '0-5-b']);
});

test('copies of requests after the cursor leave the counts right, before it passes them and after', async () => {
  const id = await startBatch();
  const recorder = createResultRecorder(space.redis, space.keys);
  expect(await copies.commit(id, '2-3-a', [copyOf(2), copyOf(3)])).toBe(2);
  await note(id, { bits: Buffer.alloc(1), count: 0, uncalled: 2 });
  expect((await readBatch(id)).state).toMatchObject({ outstanding: 0, outstandingBytes: 0, copiedAhead: 2 });
  await batches.advanceCursor(id, 0, cursorAt(2));
  await recorder.record({ batchId: id, index: 0, bytes: 100 }, 'completed', '{}', noUsage);
  expect((await readBatch(id)).state).toMatchObject({ outstanding: 1, outstandingBytes: 100, copiedAhead: 2 });
  await batches.advanceCursor(id, 2, cursorAt(5), { repeats: 0, handedOff: 0, copies: 2, bytes: 200 });
  expect((await readBatch(id)).state).toMatchObject({ outstanding: 2, outstandingBytes: 200, copiedAhead: 0 });
});

test.each(['stopped', 'removed', 'ended'])('a batch that is %s takes no copies', async (how) => {
  const id = await startBatch();
  if (how === 'stopped') await batches.stop(id, 'expired', createdAt * 1000);
  if (how === 'removed') await batches.remove({ id, tenant: 'acme' }, createdAt * 1000);
  if (how === 'ended') await batches.transition(id, 'expired', createdAt * 1000);
  expect(await copies.commit(id, '1-1-a', [copyOf(1)])).toBeUndefined();
  expect(await requests.unsettled(id, 2, 9)).toEqual([0, 1]);
  expect(await batches.segments(id)).toEqual([]);
});

test('a removed batch leaves no key', async () => {
  const id = await startBatch();
  await note(id);
  await batches.remove({ id, tenant: 'acme' }, createdAt * 1000);
  expect(await space.redis.exists(...space.keys.ofBatch(id))).toBe(0);
});
