import { FileStoreError, TornSegmentError } from '@promptmill/files';
import { expect, test } from 'vitest';
import { blockedBy, InputChangedError, ResultsMissingError } from './blocked-by.ts';

test.each([
  [new FileStoreError('no_space', "ENOSPC: no space left on device, open '/data/x'"), 'no_space', 'is full'],
  [new FileStoreError('read_only', "EROFS: read-only file system, open '/data/x'"), 'read_only', 'cannot be written'],
  [new FileStoreError('invalid_key', 'not a valid key: "/data/x"'), 'internal_error', 'log'],
  [new TornSegmentError('0-9-0000beef-x'), 'torn_segment', '0-9-0000beef-x'],
  [new ResultsMissingError(4, 8), 'results_missing', '4 of 8'],
  [new InputChangedError('line 7 is no request'), 'input_changed', 'line 7'],
  [new TypeError('/data/x is not a function'), 'internal_error', 'log'],
])('of %s the owner of a batch is told %s', (error, code, text) => {
  const blocked = blockedBy(error);
  expect(blocked).toEqual({ code, message: expect.stringContaining(text) });
  expect(blocked.message).not.toContain('/data');
});
