import { expect, test } from 'vitest';
import { assertPrefix, assertRange, isKey } from './file-store.ts';

test.each(['a', 'input/file-0.jsonl', '.hidden', '...', 'a..b', 'A_b-c.9/x', `${'s'.repeat(255)}/t`])(
  'the key %j is valid',
  (key) => {
    expect(isKey(key)).toBe(true);
  },
);

const malformed = ['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/..', 'a/../b', 'a/./b'];
const badCharacters = ['a b', 'a\\b', 'a\n', 'a\0', 'é', 'tmp~'];
const tooLong = ['s'.repeat(256), `${'long/'.repeat(210)}x`];

test.each([...malformed, ...badCharacters, ...tooLong])('the key %j is not valid', (key) => {
  expect(isKey(key)).toBe(false);
});

test.each(['', 'segments/batch_1/'])('the prefix %j is valid', (prefix) => {
  expect(() => assertPrefix(prefix)).not.toThrow();
});

test.each(['/', 'a', '../', 'a//'])('the prefix %j is not valid', (prefix) => {
  expect(() => assertPrefix(prefix)).toThrow(expect.objectContaining({ code: 'invalid_key' }));
});

test.each([{}, { start: 5 }, { end: 0 }, { start: 5, end: 5 }])('the range %j is valid', (range) => {
  expect(() => assertRange(range)).not.toThrow();
});

test.each([{ start: -1 }, { start: 0.5 }, { start: 5, end: 4 }, { end: -1 }, { end: Infinity }])(
  'the range %j is not valid',
  (range) => {
    expect(() => assertRange(range)).toThrow(expect.objectContaining({ code: 'invalid_range' }));
  },
);
