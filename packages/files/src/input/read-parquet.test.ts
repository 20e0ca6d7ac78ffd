import { parquetWriteBuffer } from 'hyparquet-writer';
import { expect, it } from 'vitest';
import { readParquet, type ReadParquetOptions } from './read-parquet.ts';

const read = async (rows: number, options?: ReadParquetOptions) => {
  const data = Array.from({ length: rows }, () => true);
  const file = parquetWriteBuffer({ columnData: [{ name: 'b', data, type: 'BOOLEAN' }], rowGroupSize: rows });
  const blocks = await Array.fromAsync(readParquet(async () => file, options));
  return { bytes: file.byteLength, blocks: blocks.map((block) => block.length) };
};

it('reads rows in blocks', async () => {
  expect((await read(2500)).blocks).toEqual([1000, 1000, 500]);
});

it('hands on few rows at once that share a long text, and says which are too long', async () => {
  const text = 'x'.repeat(2 ** 20);
  const data = [...Array.from({ length: 100 }, () => text), `${text}!`];
  const file = parquetWriteBuffer({ columnData: [{ name: 's', data, type: 'STRING' }] });
  const blocks = await Array.fromAsync(readParquet(async () => file, { maxRowCharacters: text.length + 10 }));
  expect(Math.max(...blocks.map((block) => block.length))).toBe(4);
  expect(blocks.flat()).toHaveLength(101);
  expect(blocks.flat().map(({ kind }) => kind)).not.toContain('problem');
  const short = await Array.fromAsync(readParquet(async () => file, { maxRowCharacters: 100 }));
  expect(short.flat()[100]).toEqual({ kind: 'problem', number: 101, message: 'longer than 100 bytes' });
});

it('refuses a few bytes that would become more values than there may be', async () => {
  expect((await read(100_000, { maxGroupValues: 100_000 })).bytes).toBeLessThan(1000);
  await expect(read(100_001, { maxGroupValues: 100_000 })).rejects.toMatchObject({
    code: 'input_invalid',
    message:
      'cannot read this Parquet file: a row group has 100001 values, and may have 100000: write smaller row groups',
  });
});
