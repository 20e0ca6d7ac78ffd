import { newShardState, noUsage, type Shard } from '@promptmill/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type BatchStore,
  createBatchStore,
  createDispatchedRequests,
  createShards,
  createUsageRecords,
  type DispatchedRequests,
  type Shards,
} from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let batches: BatchStore;
let shards: Shards;
let requests: DispatchedRequests;

beforeAll(() => {
  space = openRedisSpace();
  batches = createBatchStore(space.redis, space.keys);
  shards = createShards(space.redis, space.keys, () => createdAt * 1000);
  requests = createDispatchedRequests(space.redis, space.keys);
});
afterAll(() => space.close());

const total = 8;
/** The requests 1 to 6 are handed off. */
const bits = Buffer.from([0b01111110]);
const plan: Shard = {
  number: 0,
  provider: 'openai',
  model: 'gpt',
  url: '/v1/chat/completions',
  first: 1,
  last: 6,
  requests: 6,
  offset: 100,
  line: 2,
  giveUpAtMs: 0,
};

const start = async (): Promise<string> => {
  const batch = newBatch();
  await batches.create(batch);
  await batches.transition(batch.id, 'in_progress', createdAt * 1000, { total });
  await shards.plan(batch.id, [plan], bits);
  return batch.id;
};

const read = async (id: string) => {
  const snapshot = await batches.read(id);
  const shard = await shards.get(id, 0);
  if (!snapshot || !shard) throw new Error(`no batch ${id}`);
  return { ...snapshot, shard };
};

/** Moves the cursor past so many requests, whose lines have 100 bytes each. */
const dispatch = (id: string, from: number, to: number, handedOff: number, copies = 0) => {
  const cursor = { dispatched: to, cursorOffset: to * 100, cursorLine: to + 1, positions: {} };
  return batches.advanceCursor(id, from, cursor, { repeats: 0, handedOff, copies, bytes: 100 * (handedOff + copies) });
};

const resultOf = (index: number, status: 'completed' | 'failed' = 'completed') => ({
  index,
  status,
  nanoUsd: status === 'completed' ? 50 : 0,
  usage: status === 'completed' ? { ...noUsage, inputTokens: 2, outputTokens: 3 } : noUsage,
  inputCharacters: 7,
});
const commit = (id: string, segment: string, results: ReturnType<typeof resultOf>[]) =>
  shards.commit({ id, tenant: 'acme' }, segment, 'openai/gpt', results);

test('the plan stands: a second one changes nothing, nor does one after the first request is dispatched', async () => {
  const id = await start();
  await shards.plan(id, [], Buffer.alloc(1));
  expect(await shards.list(id)).toEqual([{ plan, state: newShardState, text: '' }]);
  expect((await read(id)).batch.handedOff).toEqual({ requests: 6, waiting: 0, shards: 1, open: 1 });

  const late = newBatch();
  await batches.create(late);
  await batches.transition(late.id, 'in_progress', createdAt * 1000, { total });
  await dispatch(late.id, 0, 1, 0);
  await shards.plan(late.id, [plan], bits);
  expect(await shards.list(late.id)).toEqual([]);
});

test('handed-off requests are not outstanding, and are not looked for when requests are lost', async () => {
  const id = await start();
  await dispatch(id, 0, total, 6);
  const { state } = await read(id);
  expect(state).toMatchObject({ outstanding: 2, outstandingBytes: 200, waitingHandedOff: 6, openShards: 1 });
  expect(await requests.unsettled(id, total, 10)).toEqual([0, 7]);
  expect((await requests.states(id, 0, 2)).map(({ isHandedOff }) => isHandedOff)).toEqual([false, true]);
});

test('a result counts once, before and after the cursor, and its usage with it', async () => {
  const id = await start();
  await dispatch(id, 0, 4, 3);
  expect(await commit(id, 's1', [resultOf(1), resultOf(2, 'failed'), resultOf(5)])).toBe(3);
  expect(await commit(id, 's2', [resultOf(1), resultOf(2, 'failed'), resultOf(5)])).toBe(0);
  const { batch, state } = await read(id);
  expect(batch).toMatchObject({ completed: 2, failed: 1, usage: { inputTokens: 4, outputTokens: 6 } });
  expect(batch.cost.spentNanoUsd).toBe(100);
  expect(state).toMatchObject({ outstanding: 1, collected: 3, uncollected: 0, waitingHandedOff: 1, copiedAhead: 1 });
  expect(await batches.segments(id)).toEqual(['s1']);
  const usage = createUsageRecords(space.redis, space.keys);
  const day = new Date(createdAt * 1000).toISOString().slice(0, 10);
  expect(await usage.ofDay('acme', day)).toMatchObject([
    { model: 'openai/gpt', answers: 2, inputTokens: 4, outputTokens: 6, spentNanoUsd: 100, inputCharacters: 14 },
  ]);
  // The cursor passes the result that came before it, and the two that wait.
  await dispatch(id, 4, total, 2, 1);
  expect((await read(id)).state).toMatchObject({ outstanding: 2, waitingHandedOff: 2 + 1, copiedAhead: 0 });
});

test('a stopped batch takes results until it is sealed', async () => {
  const id = await start();
  await batches.transition(id, 'cancelling', createdAt * 1000);
  expect(await commit(id, 's1', [resultOf(1)])).toBe(1);
  await batches.seal(id, total);
  expect(await commit(id, 's2', [resultOf(2)])).toBeUndefined();
});

test('a state that another process has changed stays', async () => {
  const id = await start();
  const { shard } = await read(id);
  expect(await shards.put(id, shard, { ...shard.state, fileId: 'file-1' })).toMatchObject({
    state: { fileId: 'file-1' },
  });
  expect(await shards.put(id, shard, { ...shard.state, status: 'ended' })).toBeUndefined();
  expect((await read(id)).state.openShards).toBe(1);
});

test('requests that come back count in the window again, those after the cursor once it reaches them', async () => {
  const id = await start();
  await dispatch(id, 0, 4, 3);
  await commit(id, 's1', [resultOf(1)]);
  const { shard } = await read(id);
  const returning = await shards.put(id, shard, { ...shard.state, status: 'returning' });
  if (!returning) throw new Error('the shard has changed');
  expect((await read(id)).state).toMatchObject({ openShards: 0, returningShards: 1 });

  const next = { ...returning.state, next: { index: 5, offset: 500, line: 6 } };
  const some = [2, 3, 4].map((index) => ({ index, bytes: 100 }));
  expect(await shards.returned(id, returning, next, some, { openai: 9 })).toBe('moved');
  expect(await shards.returned(id, returning, next, some, { openai: 9 })).toBe('overtaken');
  const after = await read(id);
  expect(after.state).toMatchObject({ outstanding: 3, outstandingBytes: 300, waitingHandedOff: 0, returningShards: 1 });
  expect(after.state.positions).toEqual({ openai: 9 });
  expect(await requests.unsettled(id, 4, 10)).toEqual([0, 2, 3]);

  const rest = [5, 6].map((index) => ({ index, bytes: 100 }));
  await batches.pause(id, createdAt * 1000);
  expect(await shards.returned(id, after.shard, { ...next, status: 'ended' }, rest, {})).toBe('halted');
  await dispatch(id, 4, total, 0);
  expect((await read(id)).state).toMatchObject({ outstanding: 7, returningShards: 0, waitingHandedOff: 0 });
});
