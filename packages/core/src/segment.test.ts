import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeSegmentEntry,
  encodeSegmentEntry,
  parseSegmentName,
  segmentName,
  splitSegmentEntries,
} from './segment.ts';

test('any result line comes back as it was, on one line', () => {
  // JSON.stringify writes no raw tab or newline. A tab between two tokens would be valid JSON too.
  const jsonLine = fc.jsonValue().map((value) => `{"a":\t${JSON.stringify(value)}\t}`);
  const head = fc.record({
    index: fc.nat(),
    status: fc.constantFrom('completed' as const, 'failed' as const),
    bytes: fc.nat(),
    nanoUsd: fc.option(fc.maxSafeNat(), { nil: undefined }),
  });
  fc.assert(
    fc.property(head, jsonLine, (entry, line) => {
      const text = encodeSegmentEntry({ ...entry, line });
      expect(text.indexOf('\n')).toBe(text.length - 1);
      expect(decodeSegmentEntry(Buffer.from(text.slice(0, -1)))).toEqual({ ...entry, line: Buffer.from(line) });
    }),
  );
});

test('an entry that was written without a cost has an unknown one', () => {
  expect(decodeSegmentEntry(Buffer.from('7\tfailed\t9\t{"a":1}'))).toEqual({
    index: 7,
    status: 'failed',
    bytes: 9,
    nanoUsd: undefined,
    line: Buffer.from('{"a":1}'),
  });
});

test('entries that follow one another are split, each with its index and newline', () => {
  const texts = [7, 0, 123_456].map((index) =>
    encodeSegmentEntry({ index, status: 'failed', bytes: 1, line: `{"i":"${index} 🦔"}` }),
  );
  const split = splitSegmentEntries(Buffer.from(texts.join('')));
  expect(split.map(({ index }) => index)).toEqual([7, 0, 123_456]);
  expect(split.map(({ entry }) => entry.toString())).toEqual(texts);
  expect(splitSegmentEntries(Buffer.alloc(0))).toEqual([]);
});

test.each([
  '',
  '12',
  '12\t',
  '12\tcompleted',
  '12\tcompletedX',
  '12\tdone\t7\t{}',
  '12\tcompleted\t{}',
  '12\tcompleted\t7',
  '\tcompleted\t7\t{}',
  'x\tcompleted\t7\t{}',
  '{"a":1}',
])('%j is no entry', (text) => {
  expect(() => decodeSegmentEntry(Buffer.from(text))).toThrow('torn segment entry');
});

test("a segment's name gives its span and its checksum", () => {
  const name = segmentName({ first: 0, last: 1999 }, 0xbeef, '0f9a');
  expect(name).toBe('0-1999-0000beef-0f9a');
  expect(parseSegmentName(name)).toEqual({ name, first: 0, last: 1999, crc32: 0xbeef });
});

test.each([
  '',
  '0-1',
  '0-1-0000beef',
  '0-1-0000beef-',
  '0-1-beef-x',
  'a-1-0000beef-x',
  '0-1-0000beef-x/y',
  '0-1-0000beef-X',
  '0-1-0000beef-x.tmp',
  '-1-2-0000beef-x',
])('%j is no segment’s name', (name) => {
  expect(parseSegmentName(name)).toBeUndefined();
});
