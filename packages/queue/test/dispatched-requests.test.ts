import { newBatchId } from '@promptmill/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBatchStore, createDispatchedRequests } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let requests: ReturnType<typeof createDispatchedRequests>;

beforeAll(() => {
  space = openRedisSpace();
  requests = createDispatchedRequests(space.redis, space.keys);
});
afterAll(() => space.close());

const settle = async (id: string, indexes: readonly number[]): Promise<void> => {
  await Promise.all(indexes.map((index) => space.redis.setbit(space.keys.settledBits(id), index, 1)));
};

test.each([
  ['nothing is settled', [], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ['some are', [0, 1, 4, 9], [2, 3, 5, 6, 7, 8]],
  ['all are', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []],
  ['so are some that were not dispatched', [1, 8, 9, 10, 11, 300], [0, 2, 3, 4, 5, 6, 7]],
])('when %s', async (_, settled, unsettled) => {
  const id = newBatchId();
  await settle(id, settled);
  expect(await requests.unsettled(id, 10, 100)).toEqual(unsettled);
  expect(await requests.areSettled(id, [0, 4, 9])).toEqual([0, 4, 9].map((index) => settled.includes(index as never)));
});

test('the first few of very many, across the pieces in which bits are read', async () => {
  const id = newBatchId();
  const bits = Buffer.alloc(625_000, 0xff);
  bits[8] = 0xfe;
  bits[65_536 + 8] = 0x7f;
  bits[400_000] = 0;
  await space.redis.set(space.keys.settledBits(id), bits);
  expect(await requests.unsettled(id, 5_000_000, 100)).toEqual([
    71,
    524_352,
    ...Array.from({ length: 8 }, (__, bit) => 3_200_000 + bit),
  ]);
  expect(await requests.unsettled(id, 5_000_000, 2)).toEqual([71, 524_352]);
  expect(await requests.settledBeyond(id, 4_999_990)).toBe(10);
  expect(await requests.settledBeyond(id, 5_000_000)).toBe(0);
});

test('the input can be read again from near any request', async () => {
  const id = newBatchId();
  const store = createBatchStore(space.redis, space.keys);
  for (let from = 0; from < 25_000; from += 500)
    await store.advanceCursor(id, from, {
      dispatched: from + 500,
      cursorOffset: (from + 500) * 100,
      cursorLine: from + 501,
      positions: {},
    });
  expect(await requests.placeBefore(id, 9999)).toEqual({ index: 0, offset: 0, line: 1 });
  expect(await requests.placeBefore(id, 10_000)).toEqual({ index: 10_000, offset: 1_000_000, line: 10_001 });
  expect(await requests.placeBefore(id, 24_999)).toEqual({ index: 20_000, offset: 2_000_000, line: 20_001 });
});
