import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InputRecord } from './input-record.ts';
import { readJsonArray } from './read-json-array.ts';

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const read = async (text: string | Uint8Array, chunkBytes = 1000): Promise<InputRecord[]> => {
  const records: InputRecord[] = [];
  const source = chunksOf(Buffer.from(text), chunkBytes);
  for await (const block of readJsonArray(source, { maxElementBytes: 1000 })) records.push(...block);
  return records;
};

describe('readJsonArray', () => {
  it('yields the elements of any array, however it is written and cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.json({ maxDepth: 3 }), { maxLength: 8 }),
        fc.constantFrom(0, 2),
        fc.integer({ min: 1, max: 50 }),
        async (texts, indent, chunkBytes) => {
          const values = texts.map((text) => JSON.parse(text) as unknown);
          const records = await read(`\uFEFF ${JSON.stringify(values, undefined, indent)}\n`, chunkBytes);
          expect(records.map((record) => (record.kind === 'text' ? JSON.parse(record.text) : record))).toEqual(values);
          expect(records.map(({ number }) => number)).toEqual(values.map((_, index) => index + 1));
        },
      ),
    );
  });

  it.each([
    ['{"a":1}', 'not a JSON array', 1],
    ['[1,2', 'the JSON array does not end', 2],
    ['[1,"2]', 'the JSON array does not end', 2],
    ['[1] [2]', 'more follows the end of the array', 2],
    ['[1,,2]', 'an element is missing', 2],
    ['[1,]', 'an element is missing', 2],
    [`[1,"${'x'.repeat(1001)}",3]`, 'longer than 1000 bytes', 2],
    [Buffer.from([0x5b, 0x22, 0xe9, 0x22, 0x5d]), 'not UTF-8 text: save the file as UTF-8', 1],
  ])('says what is wrong with %s', async (text, message, number) => {
    for (const chunkBytes of [1, 1000])
      expect((await read(text, chunkBytes)).filter(({ kind }) => kind === 'problem')).toEqual([
        { kind: 'problem', number, message },
      ]);
  });

  it('has no elements where there are none', async () => {
    expect(await read('')).toEqual([]);
    expect(await read('[ \n]')).toEqual([]);
  });
});
