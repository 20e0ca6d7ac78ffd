import { expect, test } from 'vitest';
import { field, isJsonObject } from './json.ts';

test.each([[{}], [{ a: 1 }]])('%j is an object', (value) => expect(isJsonObject(value)).toBe(true));

test.each([null, undefined, 'text', 1, [[]]])('%j is no object', (value) => expect(isJsonObject(value)).toBe(false));

test('field reads a property of an object, and undefined of a value that has none', () => {
  expect(field({ a: 1 }, 'a')).toBe(1);
  expect(field({}, 'a')).toBeUndefined();
  expect(field(null, 'a')).toBeUndefined();
  expect(field('text', 'length')).toBeUndefined();
});
