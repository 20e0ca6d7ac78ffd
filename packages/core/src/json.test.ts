import { expect, test } from 'vitest';
import { field, isDeeperThan, isJsonObject, mayBeDeeperThan } from './json.ts';

test.each([[{}], [{ a: 1 }]])('%j is an object', (value) => expect(isJsonObject(value)).toBe(true));

test.each([null, undefined, 'text', 1, [[]]])('%j is no object', (value) => expect(isJsonObject(value)).toBe(false));

test('field reads a property of an object, and undefined of a value that has none', () => {
  expect(field({ a: 1 }, 'a')).toBe(1);
  expect(field({}, 'a')).toBeUndefined();
  expect(field(null, 'a')).toBeUndefined();
  expect(field('text', 'length')).toBeUndefined();
});

test.each<[unknown, number]>([
  [{}, 1],
  [{ a: [] }, 2],
  [[[], { a: 1 }], 2],
])('%j is nested %i deep', (value, depth) => {
  expect(isDeeperThan(value, depth)).toBe(false);
  expect(isDeeperThan(value, depth - 1)).toBe(true);
});

test.each(['text', 1, null, undefined])('%j is not nested', (value) => expect(isDeeperThan(value, 0)).toBe(false));

test.each<[string, number, boolean]>([
  ['[{"a": [1]}]', 3, false],
  ['[{"a": [1]}]', 2, true],
  ['[[], [], []]', 2, true],
  ['{"a": 1, "b": 2}', 0, true],
  ['"text"', 0, false],
])('%s may be nested more than %i deep: %s', (text, depth, expected) =>
  expect(mayBeDeeperThan(text, depth)).toBe(expected),
);
