import { expect, it } from 'vitest';
import { isOfFile, partBytesOf, type PartialUpload, sentBytesOf, uploadInParts } from './upload-in-parts.ts';

const mebibyte = 2 ** 20;

it.each([
  [0, 4 * mebibyte],
  [100 * mebibyte, 4 * mebibyte],
  [80_000 * mebibyte, 8 * mebibyte],
])('a file of %i bytes has parts of %i', (bytes, partBytes) => {
  expect(partBytesOf(bytes)).toBe(partBytes);
});

const upload: PartialUpload = {
  id: 'upload_0',
  name: 'a.csv',
  bytes: 9 * mebibyte,
  lastModified: 5,
  partBytes: 4 * mebibyte,
  partIds: ['part_0', 'part_1'],
};

it('tells the file of an upload from others', () => {
  const file = { name: 'a.csv', size: 9 * mebibyte, lastModified: 5 };
  expect(isOfFile(upload, file)).toBe(true);
  expect(isOfFile(upload, { ...file, lastModified: 6 })).toBe(false);
  expect(isOfFile(upload, { ...file, size: 1 })).toBe(false);
});

it('knows how much is on the server', () => {
  expect(sentBytesOf(upload)).toBe(8 * mebibyte);
  expect(sentBytesOf({ ...upload, partIds: ['0', '1', '2'] })).toBe(9 * mebibyte);
});

it('goes on with the parts that are missing', async () => {
  const calls: unknown[] = [];
  const file = new File([new Uint8Array(9 * mebibyte)], 'a.csv', { lastModified: 5 });
  const made = await uploadInParts({
    client: {
      createUpload: () => Promise.reject(new Error('it has begun already')),
      addPart: async (id, part) => {
        calls.push([id, part.size]);
        return { id: 'part_2' };
      },
      completeUpload: async (id, partIds) => {
        calls.push([id, partIds]);
        return { file: { id: 'file-0' } as never };
      },
    },
    file,
    upload,
    onUpload: ({ partIds }) => calls.push(partIds.length),
    signal: new AbortController().signal,
  });
  expect(made.id).toBe('file-0');
  expect(calls).toEqual([2, ['upload_0', mebibyte], 3, ['upload_0', ['part_0', 'part_1', 'part_2']]]);
});
