import type { RecordedResults } from '@promptmill/queue';
import { expect, test } from 'vitest';
import { createSegmentBuffer } from './segment-buffer.ts';

const plenty = 50_000;

const result = (index: number, more: Partial<RecordedResults> = {}): RecordedResults => ({
  streamId: `1-${index}`,
  batchId: 'batch_a',
  left: plenty,
  count: 1,
  entries: Buffer.alloc(2),
  ...more,
});

test('nothing is due when nothing is held', () => {
  const buffer = createSegmentBuffer();
  expect(buffer.dueInMs(0)).toBe(Infinity);
  expect(buffer.takeDue(Infinity)).toEqual([]);
});

test('while a batch has plenty to come, results are held for others, but not for ever', () => {
  const buffer = createSegmentBuffer({ maxHoldMs: 1000 });
  buffer.add(result(0), 100);
  buffer.add(result(1), 900);
  expect(buffer.dueInMs(900)).toBe(200);
  expect(buffer.takeDue(1099)).toEqual([]);
  expect(buffer.dueInMs(5000)).toBe(0);
  expect(buffer.takeDue(1100)).toEqual([{ batchId: 'batch_a', results: [result(0), result(1)] }]);
  expect(buffer.dueInMs(1100)).toBe(Infinity);
});

test('the last result of a batch makes all of it due at once', () => {
  const buffer = createSegmentBuffer();
  buffer.add(result(0), 0);
  buffer.add(result(1, { left: 0 }), 5);
  expect(buffer.dueInMs(5)).toBe(0);
  expect(buffer.takeDue(5)).toMatchObject([{ results: [{ streamId: '1-0' }, { streamId: '1-1' }] }]);
});

test('near the end of a batch results are held shortly', () => {
  const buffer = createSegmentBuffer();
  buffer.add(result(0, { left: 99 }), 0);
  expect(buffer.dueInMs(0)).toBe(100);
  buffer.add(result(1), 50);
  expect(buffer.dueInMs(50)).toBe(50);
});

test('a segment is due at its number of results', () => {
  const buffer = createSegmentBuffer({ maxResults: 3 });
  buffer.add(result(0, { count: 2 }), 0);
  expect(buffer.takeDue(0)).toEqual([]);
  buffer.add(result(1), 1);
  expect(buffer.takeDue(1)).toMatchObject([{ results: { length: 2 } }]);
});

test('a segment is due at its number of bytes', () => {
  const buffer = createSegmentBuffer({ maxBytes: 100 });
  buffer.add(result(0, { entries: Buffer.alloc(99) }), 0);
  expect(buffer.takeDue(0)).toEqual([]);
  buffer.add(result(1, { entries: Buffer.alloc(1) }), 0);
  expect(buffer.takeDue(0)).toHaveLength(1);
});

test('a result added again, as a claim may, counts once', () => {
  const buffer = createSegmentBuffer({ maxResults: 2, maxBytes: 100 });
  const once = result(0, { entries: Buffer.alloc(60) });
  buffer.add(once, 0);
  buffer.add(once, 1);
  expect(buffer.takeDue(1)).toEqual([]);
  expect(buffer.takeDue(Infinity)).toEqual([{ batchId: 'batch_a', results: [once] }]);
});

test('a small batch does not wait for a large one', () => {
  const buffer = createSegmentBuffer();
  buffer.add(result(0), 0);
  buffer.add(result(0, { batchId: 'batch_b', left: 0 }), 10);
  expect(buffer.takeDue(10)).toMatchObject([{ batchId: 'batch_b' }]);
  expect(buffer.dueInMs(10)).toBe(990);
});

test('where all batches together hold too much, the largest segments are due', () => {
  const buffer = createSegmentBuffer({ maxHeldBytes: 100 });
  for (const [batchId, bytes] of [
    ['batch_a', 20],
    ['batch_b', 60],
    ['batch_c', 50],
    ['batch_d', 30],
  ] as const)
    buffer.add(result(0, { batchId, entries: Buffer.alloc(bytes) }), 0);
  expect(buffer.takeDue(0).map(({ batchId }) => batchId)).toEqual(['batch_b']);
  buffer.add(result(1, { entries: Buffer.alloc(40) }), 0);
  expect(buffer.takeDue(0).map(({ batchId }) => batchId)).toEqual(['batch_a']);
  expect(buffer.takeDue(0)).toEqual([]);
});

test('a segment is handed over once', () => {
  const buffer = createSegmentBuffer();
  buffer.add(result(0, { left: 0 }), 0);
  expect(buffer.takeDue(0)).toHaveLength(1);
  expect(buffer.takeDue(Infinity)).toEqual([]);
});
