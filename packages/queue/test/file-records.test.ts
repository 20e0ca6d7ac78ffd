import { type FilePurpose, type FileRecord, newFileId } from '@promptmill/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDueIndex, createFileRecords, type FileListOptions, type FileRecords } from '../src/index.ts';
import { findKeys } from '../../../tests/support/redis-keys.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const tenant = 'acme';
const createdAt = 1_795_000_000;
const nowMs = createdAt * 1000;
const dayMs = 86_400_000;

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
  createdAt,
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
  expect(await records.delete('stranger', file.id, nowMs)).toEqual({ kind: 'missing' });
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
  expect(await records.delete(tenant, last, nowMs)).toEqual({ kind: 'deleted' });
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

test('a page of one purpose goes on after a file of the other, and after one deleted meanwhile', async () => {
  const files = await putFiles(6, (i) => (i % 2 === 0 ? 'batch_output' : 'batch'));
  const [, second, third, , , sixth] = idsOf(files);
  const inputs = { limit: 10, order: 'asc', purpose: 'batch' } as const;
  expect(idsOf((await records.list(tenant, { ...inputs, after: third }))?.items)).toHaveLength(2);
  await records.delete(tenant, second ?? '', nowMs);
  const rest = await records.list(tenant, { ...inputs, after: second });
  expect(idsOf(rest?.items)).toEqual([files[3]?.id, sixth]);
});

test('a file has its summary, and a list does without', async () => {
  const summary = { requests: 1, problems: [], problemCount: 0, urls: {}, models: { 'a/b': 1 } };
  const file = newFile({ summary });
  await records.put(file);
  expect(await records.get(tenant, file.id)).toEqual(file);
  const page = await records.list(tenant, { limit: 1, order: 'desc' });
  expect(page?.items).toEqual([newFile({ id: file.id })]);
  expect(await space.redis.get(space.keys.file(tenant, file.id))).not.toContain('a/b');
  await records.delete(tenant, file.id, nowMs);
  expect(await records.put(file)).toBe(false);
  expect(await findKeys(space.redis, `${space.prefix}:*summary`)).toEqual([]);
});

test('a page of a purpose reads as little among many files of the other', async () => {
  const [output] = await putFiles(1, () => 'batch_output');
  await Promise.all(Array.from({ length: 2000 }, () => records.put(newFile({ createdAt: createdAt + 1 }))));
  const read = vi.spyOn(space.redis, 'mget');
  const page = await records.list(tenant, { limit: 100, order: 'desc', purpose: 'batch_output' });
  expect(idsOf(page?.items)).toEqual([output?.id]);
  expect(read.mock.calls).toEqual([[[space.keys.file(tenant, output?.id ?? '')]]]);
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
  const deleted = await Promise.all([1, 2].map(() => records.delete(tenant, file.id, nowMs)));
  expect(deleted.map(({ kind }) => kind).toSorted()).toEqual(['deleted', 'missing']);
  expect(await records.get(tenant, file.id)).toBeUndefined();
  expect(await records.list(tenant, { limit: 10, order: 'desc' })).toEqual({ items: [], hasMore: false });
});

test('a deleted file cannot be written again for a day, nor a listing lose its place', async () => {
  const [first, second] = await putFiles(2);
  if (!first || !second) throw new Error('no files');
  await records.delete(tenant, second.id, nowMs);
  expect(await records.put(second)).toBe(false);
  expect(await records.get(tenant, second.id)).toBeUndefined();
  expect(idsOf((await records.list(tenant, { limit: 10, order: 'desc' }))?.items)).toEqual([first.id]);

  await records.delete(tenant, first.id, nowMs + dayMs + 1000);
  expect(await records.put(second)).toBe(true);
  const names = (await findKeys(space.redis, `${space.prefix}:*`)).filter((name) => !name.includes(second.id));
  expect(names.toSorted()).toEqual(
    [
      space.keys.tenants,
      space.keys.storedBytes(tenant),
      space.keys.fileIndex(tenant),
      space.keys.purposeIndex(tenant, 'batch'),
      space.keys.removed(tenant),
      space.keys.removedTimes(tenant),
    ].toSorted(),
  );
});

describe('a file that a batch uses', () => {
  const since = createdAt;
  const use = async (id: string, batchId: string, atMs = nowMs) =>
    (await records.use(tenant, id, { batchId, requests: 1, limits: {} }, atMs)).kind === 'noted';

  test('is not deleted before the batch releases it', async () => {
    const [file] = await putFiles(1);
    if (!file) throw new Error('no file');
    expect(await use(file.id, 'one')).toBe(true);
    expect(await use(file.id, 'two')).toBe(true);
    const uses = [
      { batchId: 'one', since },
      { batchId: 'two', since },
    ];
    expect(await records.delete(tenant, file.id, nowMs)).toEqual({ kind: 'in_use', uses });
    await records.release(tenant, file.id, 'one');
    expect(await records.delete(tenant, file.id, nowMs)).toEqual({ kind: 'in_use', uses: uses.slice(1) });
    await records.release(tenant, file.id, 'two');
    expect(await records.delete(tenant, file.id, nowMs)).toEqual({ kind: 'deleted' });
  });

  test('is deleted when no use counts any more, unless one was noted again', async () => {
    const [file] = await putFiles(1);
    if (!file) throw new Error('no file');
    await use(file.id, 'dead');
    const outcome = await records.delete(tenant, file.id, nowMs);
    const uses = outcome.kind === 'in_use' ? outcome.uses : [];
    await use(file.id, 'dead', nowMs + 5000);
    expect(await records.delete(tenant, file.id, nowMs, uses)).toMatchObject({ kind: 'in_use' });
    expect(await records.delete(tenant, file.id, nowMs, [{ batchId: 'dead', since: since + 5 }])).toEqual({
      kind: 'deleted',
    });
    expect(await space.redis.exists(space.keys.fileUses(tenant, file.id))).toBe(0);
  });

  test('is, of 50 uses and deletions at once, either used or deleted', async () => {
    for (const file of await putFiles(20)) {
      const [used, deleted] = await Promise.all([
        Promise.all(Array.from({ length: 25 }, (_, i) => use(file.id, `batch-${i}`))),
        Promise.all(Array.from({ length: 25 }, () => records.delete(tenant, file.id, nowMs))),
      ]);
      const isDeleted = deleted.some(({ kind }) => kind === 'deleted');
      expect(used.includes(true)).toBe(!isDeleted);
      expect(await records.get(tenant, file.id)).toEqual(isDeleted ? undefined : file);
    }
  });
});

test('what expires is due then, each once, the longest due first', async () => {
  const due = createDueIndex(space.redis, space.keys);
  const file = newFile({ expiresAt: createdAt + 3600 });
  await records.put(file);
  await records.put(newFile());
  await due.set({ kind: 'batch', id: 'batch_1' }, nowMs + 60_000);
  await due.set({ kind: 'batch', id: 'batch_1' }, nowMs + 10);
  expect(await due.upTo(nowMs, 10)).toEqual([]);
  const kept = { kind: 'file', tenant, id: file.id } as const;
  expect(await due.upTo(nowMs + 3_600_000, 10)).toEqual([{ kind: 'batch', id: 'batch_1' }, kept]);
  expect(await due.upTo(nowMs + 3_600_000, 1)).toHaveLength(1);
  await due.remove(kept);
  expect(await due.upTo(nowMs + 3_600_000, 10)).toEqual([{ kind: 'batch', id: 'batch_1' }]);
});
