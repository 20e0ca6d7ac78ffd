import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { startMemoryMeter } from '../../../tests/support/live-memory.ts';
import { splitLines } from './split-lines.ts';
import type { SplitLine, SplitLinesOptions } from './split-lines.ts';

async function* chunksOf(bytes: Uint8Array, sizes: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function split(
  content: string | Uint8Array,
  { sizes = [], ...options }: Partial<SplitLinesOptions> & { sizes?: number[] } = {},
): Promise<SplitLine[]> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return await collect(splitLines(chunksOf(bytes, sizes), { maxLineBytes: 1000, ...options }));
}

async function collect(arrays: AsyncIterable<SplitLine[]>): Promise<SplitLine[]> {
  const all: SplitLine[] = [];
  for await (const lines of arrays) {
    expect(lines).not.toEqual([]);
    all.push(...lines);
  }
  return all;
}

const textOf = (line: SplitLine) => (line.oversize ? line.byteLength : line.bytes.toString('latin1'));

/** The expected lines, from the whole content at once. */
function splitNaively(content: Buffer, maxLineBytes: number): SplitLine[] {
  const text = content.toString('latin1');
  const lines: SplitLine[] = [];
  let offset = text.startsWith('\xef\xbb\xbf') ? 3 : 0;
  for (const raw of text.slice(offset).match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const bytes = Buffer.from(raw.replace(/\r?\n$/, ''), 'latin1');
    const place = { number: lines.length + 1, offset, nextOffset: offset + raw.length };
    lines.push(
      bytes.length > maxLineBytes
        ? { ...place, oversize: true, byteLength: bytes.length }
        : { ...place, oversize: false, bytes },
    );
    offset += raw.length;
  }
  return lines;
}

test('lines end in \\n, \\r\\n or the end of the file, and empty ones count', async () => {
  const lines = await split('one\n\r\ntwo\r\n\nthree');
  expect(lines.map(textOf)).toEqual(['one', '', 'two', '', 'three']);
  expect(lines.map(({ number, offset, nextOffset }) => [number, offset, nextOffset])).toEqual([
    [1, 0, 4],
    [2, 4, 6],
    [3, 6, 11],
    [4, 11, 12],
    [5, 12, 17],
  ]);
});

test('a carriage return elsewhere belongs to the line', async () => {
  expect((await split('a\rb\r\r\nc\r')).map(textOf)).toEqual(['a\rb\r', 'c\r']);
});

test.each(['', '\ufeff'])('a file of %j has no lines', async (content) => {
  expect(await split(content, { sizes: [1] })).toEqual([]);
});

test('a byte order mark is skipped at the start only, in any chunking', async () => {
  for (const sizes of [[1], [2], [3], [100]]) {
    const lines = await split('\ufeff{}\n\ufeff', { sizes });
    expect(lines.map(textOf)).toEqual(['{}', '\xef\xbb\xbf']);
    expect(lines[0]).toMatchObject({ number: 1, offset: 3, nextOffset: 6 });
  }
  expect((await split('\ufeff', { startOffset: 9 })).map(textOf)).toEqual(['\xef\xbb\xbf']);
  expect((await split(Buffer.from([0xef, 0xbb]))).map(textOf)).toEqual(['\xef\xbb']);
});

test('the ending of a line does not count towards oversize', async () => {
  for (const sizes of [[1], [4], [5], [100]]) {
    const lines = await split('12345\r\n123456\r\n12345\n123456', { maxLineBytes: 5, sizes });
    expect(lines.map(textOf)).toEqual(['12345', 6, '12345', 6]);
  }
});

test('a line within one chunk is a view of that chunk', async () => {
  const chunk = Buffer.from('12\n345\n');
  const [line] = await split(chunk, { sizes: [chunk.length], startOffset: 50 });
  chunk[0] = 0x39;
  expect(line && textOf(line)).toBe('92');
});

test('a line of a gigabyte is counted without being held', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  const memory = startMemoryMeter();
  async function* endless() {
    for (let i = 0; i < 1024; i += 1) {
      yield chunk;
      if (i % 64 === 63) memory.sample();
    }
    yield Buffer.from('\nshort');
  }
  const lines = await collect(splitLines(endless(), { maxLineBytes: 4 * 1024 * 1024 }));
  expect(lines.map(textOf)).toEqual([2 ** 30, 'short']);
  expect(memory.growthBytes()).toBeLessThan(16 * 1024 * 1024);
});

const content = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('\n', '\r', '\r\n', '\xef\xbb\xbf', '\xef', 'abcdefgh') },
      fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));
const chunkSizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });

test('any content in any chunks gives the same lines as the whole content', async () => {
  await fc.assert(
    fc.asyncProperty(content, chunkSizes, fc.nat(12), async (bytes, sizes, maxLineBytes) => {
      expect(await split(bytes, { sizes, maxLineBytes })).toEqual(splitNaively(bytes, maxLineBytes));
    }),
    { numRuns: 1000 },
  );
});

test('reading can resume after any line', async () => {
  await fc.assert(
    fc.asyncProperty(content, chunkSizes, fc.nat(), async (bytes, sizes, pick) => {
      const all = await split(bytes, { sizes });
      fc.pre(all.length > 0);
      const read = pick % all.length;
      const { nextOffset: startOffset = 0, number = 0 } = all[read] ?? {};
      const rest = await split(bytes.subarray(startOffset), { sizes, startOffset, startNumber: number + 1 });
      expect(rest).toEqual(all.slice(read + 1));
    }),
  );
});
