import { type FilePurpose, type FileRecord, newFileId } from '@promptmill/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFileRecords, type FileListOptions, type FileRecords } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const tenant = 'acme';

let space: RedisSpace;
let records: FileRecords;

beforeEach(() => {
  space = openRedisSpace();
  records = createFileRecords(space.redis, space.keys);
});

afterEach(() => space.close());

const newFile = (more: Partial<FileRecord> = {}): FileRecord => ({
  id: newFileId(),
  tenant,
  filename: 'input.jsonl',
  purpose: 'batch',
  bytes: 12,
  createdAt: 1_795_000_000,
  ...more,
});

/** Files of one second, oldest first. */
const putFiles = async (
  count: number,
  purposeOf: (i: number) => FilePurpose = () => 'batch',
): Promise<FileRecord[]> => {
  const files = Array.from({ length: count }, (_, i) => newFile({ purpose: purposeOf(i) }));
  for (const file of files) await records.put(file);
  return files;
};

const idsOf = (files: readonly FileRecord[] | undefined): string[] => (files ?? []).map(({ id }) => id);

/** All pages that a client which follows `hasMore` gets. */
const listPages = async (options: FileListOptions): Promise<string[][]> => {
  const pages: string[][] = [];
  let { after } = options;
  for (;;) {
    const page = await records.list(tenant, { ...options, after });
    pages.push(idsOf(page?.items));
    if (!page?.hasMore) return pages;
    after = page.items.at(-1)?.id;
  }
};

test('a file is its own tenant’s only', async () => {
  const file = newFile({ expiresAt: 1_795_003_600 });
  await records.put(file);
  expect(await records.get(tenant, file.id)).toEqual(file);
  expect(await records.get('stranger', file.id)).toBeUndefined();
  expect(await records.delete('stranger', file.id)).toBe(false);
  expect(await records.list('stranger', { limit: 10, order: 'desc' })).toEqual({ items: [], hasMore: false });
  expect(await records.list('stranger', { after: file.id, limit: 10, order: 'desc' })).toBeUndefined();
  expect(await records.get(tenant, file.id)).toEqual(file);
});

test('45 files of one second come in pages, in either order, each once', async () => {
  const files = await putFiles(45);
  const newestFirst = await listPages({ limit: 20, order: 'desc' });
  const oldestFirst = await listPages({ limit: 20, order: 'asc' });
  expect(newestFirst.map(({ length }) => length)).toEqual([20, 20, 5]);
  expect(newestFirst.flat()).toEqual(idsOf(files).toReversed());
  expect(oldestFirst.map(({ length }) => length)).toEqual([20, 20, 5]);
  expect(oldestFirst.flat()).toEqual(idsOf(files));
});

test('a page of exactly all there is has no more', async () => {
  await putFiles(3);
  expect((await records.list(tenant, { limit: 3, order: 'desc' }))?.hasMore).toBe(false);
  expect((await records.list(tenant, { limit: 2, order: 'desc' }))?.hasMore).toBe(true);
});

test.each(['desc', 'asc'] as const)('a listing (%s) goes on after a file deleted meanwhile', async (order) => {
  const ids = idsOf(await putFiles(45));
  if (order === 'desc') ids.reverse();
  const last = ids[19] ?? '';
  expect(await records.delete(tenant, last)).toBe(true);
  const page = await records.list(tenant, { after: last, limit: 20, order });
  expect(idsOf(page?.items)).toEqual(ids.slice(20, 40));
});

test('pages of a purpose are full though others lie between', async () => {
  const files = await putFiles(45, (i) => (i % 9 === 0 ? 'batch_output' : 'batch'));
  const outputs = idsOf(files.filter(({ purpose }) => purpose === 'batch_output')).toReversed();
  const pages = await listPages({ limit: 2, order: 'desc', purpose: 'batch_output' });
  expect(pages).toEqual([outputs.slice(0, 2), outputs.slice(2, 4), outputs.slice(4)]);
  expect((await listPages({ limit: 20, order: 'asc', purpose: 'batch' })).flat()).toHaveLength(40);
});

test('an unknown `after` is told apart from an end', async () => {
  const [file] = await putFiles(1);
  expect(await records.list(tenant, { after: newFileId(), limit: 20, order: 'desc' })).toBeUndefined();
  expect(await records.list(tenant, { after: file?.id, limit: 20, order: 'desc' })).toEqual({
    items: [],
    hasMore: false,
  });
});

test('writing a record again changes it and keeps its place', async () => {
  const [oldest, , newest] = await putFiles(3);
  if (!oldest || !newest) throw new Error('no files');
  await records.put({ ...oldest, bytes: 99, createdAt: oldest.createdAt + 60 });
  const page = await records.list(tenant, { limit: 10, order: 'asc' });
  expect(page?.items[0]).toMatchObject({ id: oldest.id, bytes: 99 });
  expect(page?.items[2]?.id).toBe(newest.id);
});

test('a file is deleted once', async () => {
  const file = newFile();
  await records.put(file);
  const deleted = await Promise.all([records.delete(tenant, file.id), records.delete(tenant, file.id)]);
  expect(deleted.filter(Boolean)).toHaveLength(1);
  expect(await records.get(tenant, file.id)).toBeUndefined();
  expect(await records.list(tenant, { limit: 10, order: 'desc' })).toEqual({ items: [], hasMore: false });
});
