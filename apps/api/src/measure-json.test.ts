import { expect, it } from 'vitest';
import { measureJson } from './measure-json.ts';

it.each([
  ['', 0, 0],
  ['1', 0, 0],
  ['{"a": [1, {"b": []}], "c": 2}', 4, 2],
  ['["[[[", "\\"[,", "\\\\", [1]]', 2, 3],
  ['[[], [], []]', 2, 2],
  ['[[[', 3, 0],
  [']]]', 0, 0],
  ['"abc', 0, 0],
])('%s', (text, depth, commas) => {
  expect(measureJson(Buffer.from(text))).toEqual({ depth, commas });
});
