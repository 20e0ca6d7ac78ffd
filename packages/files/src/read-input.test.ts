import { expect, test } from 'vitest';
import { readInput } from './read-input.ts';

async function* bytes(...chunks: readonly string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

const read = async (source: AsyncIterable<Uint8Array>, options = {}) =>
  (await Array.fromAsync(readInput(source, (text) => text.toUpperCase(), options))).flat();

test('gives each line that is not blank, with its place and what was made of it', async () => {
  expect(await read(bytes('a\n\n \r\n', 'bc\nd'))).toMatchObject([
    { number: 1, offset: 0, nextOffset: 2, parsed: 'A' },
    { number: 4, offset: 6, nextOffset: 9, parsed: 'BC' },
    { number: 5, offset: 9, nextOffset: 10, parsed: 'D' },
  ]);
});

test('goes on from a place', async () => {
  expect(await read(bytes('bc\n'), { startOffset: 6, startNumber: 4 })).toMatchObject([
    { number: 4, offset: 6, nextOffset: 9, parsed: 'BC' },
  ]);
});

test('does not parse a line that is too long', async () => {
  expect(await read(bytes('abc\nd\n'), { maxLineBytes: 2 })).toMatchObject([
    { number: 1, oversize: true, byteLength: 3 },
    { number: 2, parsed: 'D' },
  ]);
});
