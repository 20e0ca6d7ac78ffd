import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { encodeSegmentEntry } from '@promptmill/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FileStore } from './file-store.ts';
import { readWholeSegment } from './read-segment.ts';

const contentOf = (lines: readonly string[]): Buffer =>
  Buffer.from(lines.map((line, index) => encodeSegmentEntry({ index, status: 'failed', bytes: 7, line })).join(''));

/** A store whose only file comes in chunks of these sizes, and the rest in one. */
const storeWith = (content: Buffer, sizes: readonly number[]): FileStore => {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, content.length]) chunks.push(content.subarray(at, (at += size)));
  return { get: async () => Readable.from(chunks.filter(({ length }) => length > 0)) } as unknown as FileStore;
};

const read = async (content: Buffer, sizes: readonly number[], written = content): Promise<string[]> => {
  const segment = { name: '0-9-0000beef-a', crc32: crc32(written) };
  return (await readWholeSegment(storeWith(content, sizes), 'batch_a', segment)).map(({ line }) => line.toString());
};

test('entries come as they were written, in whatever chunks the file comes', async () => {
  const line = fc.string({ maxLength: 30, unit: fc.constantFrom('x', '\t', '🦔', '\r') });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(40)), async (lines, sizes) => {
      expect(await read(contentOf(lines), sizes)).toEqual(lines);
    }),
  );
});

test.each([
  ['cut within an entry', (content: Buffer) => content.subarray(0, -3)],
  ['cut between entries', (content: Buffer) => content.subarray(0, content.indexOf('\n') + 1)],
  ['emptied', () => Buffer.alloc(0)],
  ['changed', (content: Buffer) => Buffer.from(content.toString().replace('failed', 'failef'))],
])('a segment that was %s is torn', async (_, damage) => {
  const content = contentOf(['{"a":1}', '{"b":2}']);
  await expect(read(damage(content), [5], content)).rejects.toMatchObject({ code: 'torn_segment' });
});
