import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeSegmentEntry, encodeSegmentEntry, parseSegmentName, segmentName } from './segment.ts';

test('any result line comes back as it was, on one line', () => {
  // JSON.stringify leaves no raw tab or newline; a tab between its tokens would be JSON too.
  const jsonLine = fc.jsonValue().map((value) => `{"a":\t${JSON.stringify(value)}\t}`);
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('completed', 'failed'), jsonLine, (index, status, line) => {
      const text = encodeSegmentEntry({ index, status, line });
      expect(text.indexOf('\n')).toBe(text.length - 1);
      expect(decodeSegmentEntry(text.slice(0, -1))).toEqual({ index, status, line });
    }),
  );
});

test.each([
  '',
  '12',
  '12\t',
  '12\tcompleted',
  '12\tcompletedX',
  '12\tdone\t{}',
  '\tcompleted\t{}',
  'x\tcompleted\t{}',
  '{"a":1}',
])('%j is no entry', (text) => {
  expect(() => decodeSegmentEntry(text)).toThrow('torn segment entry');
});

test("a segment's name gives its span", () => {
  const name = segmentName(0, 1999, '0f9a');
  expect(name).toBe('0-1999-0f9a');
  expect(parseSegmentName(name)).toEqual({ name, first: 0, last: 1999 });
});

test.each(['', '0-1', '0-1-', 'a-1-x', '0-1-x/y', '0-1-X', '0-1-x.tmp', '-1-2-x'])('%j is no name', (name) => {
  expect(parseSegmentName(name)).toBeUndefined();
});
