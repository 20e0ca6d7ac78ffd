import { expect, test } from 'vitest';
import {
  indexOfRequestId,
  isBatchId,
  isFileId,
  isPartId,
  isUploadId,
  jobIdOf,
  newBatchId,
  newFileId,
  newPartId,
  newUploadId,
  parseRequestId,
  requestIdOf,
} from './ids.ts';

const hex = '0123456789abcdef'.repeat(2);

test('new ids match the strict pattern, and no two are the same', () => {
  expect(isFileId(newFileId())).toBe(true);
  expect(isBatchId(newBatchId())).toBe(true);
  expect([isUploadId(newUploadId()), isPartId(newPartId())]).toEqual([true, true]);
  expect([isUploadId(newPartId()), isPartId(newUploadId()), isPartId(`part_${hex}/x`)]).toEqual([false, false, false]);
  expect(new Set(Array.from({ length: 1000 }, newBatchId)).size).toBe(1000);
});

test.each([
  '',
  hex,
  `file_${hex}`,
  `file-${hex}0`,
  `file-${hex.slice(1)}`,
  `file-${hex.toUpperCase()}`,
  `batch_${hex}`,
])('%j is no file id', (id) => {
  expect(isFileId(id)).toBe(false);
});

test.each(['', hex, `batch-${hex}`, `batch_${hex}\n`, `batch_${hex}:x`, `batch_../${hex.slice(3)}`, `file-${hex}`])(
  '%j is no batch id',
  (id) => {
    expect(isBatchId(id)).toBe(false);
  },
);

test('a request always has the same id', () => {
  expect(requestIdOf('batch_1', 0)).toBe(requestIdOf('batch_1', 0));
  expect(requestIdOf('batch_1', 10)).not.toBe(requestIdOf('batch_11', 0));
});

test('the id of a request tells its index', () => {
  expect(indexOfRequestId(requestIdOf(`batch_${hex}`, 42))).toBe(42);
  expect([indexOfRequestId(''), indexOfRequestId(`batch_req_${hex}`)]).toEqual([undefined, undefined]);
});

test('BullMQ takes the job id: it has no colon, and is not all digits', () => {
  expect(jobIdOf(`batch_${hex}`, 42)).toBe(`batch_${hex}-42`);
});

test('a request id tells its batch and index', () => {
  expect(parseRequestId(requestIdOf(`batch_${hex}`, 12))).toEqual({ batchId: `batch_${hex}`, index: 12 });
  for (const id of ['', 'batch_req_', `batch_req_${hex}`, `batch_req_${hex}_x`, `batch_${hex}_1`])
    expect(parseRequestId(id)).toBeUndefined();
});
