import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mayMount, mountSmallDisk } from '../../../tests/support/small-disk.ts';
import { createDiskStore } from '../src/index.ts';
import { collect, describeFileStoreContract } from './file-store-contract.ts';

const makeDirectory = () => mkdtemp(path.join(tmpdir(), 'promptmill-files-'));
const countTmpFiles = async (directory: string) => (await readdir(path.join(directory, 'tmp~')).catch(() => [])).length;

describeFileStoreContract('the disk', async () => {
  const directory = await makeDirectory();
  return {
    store: createDiskStore({ directory: path.join(directory, 'made', 'when needed') }),
    countLeftovers: () => countTmpFiles(path.join(directory, 'made', 'when needed')),
    close: () => rm(directory, { recursive: true }),
  };
});

let directory: string;
beforeEach(async () => {
  directory = await makeDirectory();
});
afterEach(() => rm(directory, { recursive: true }));

test('a put killed half-way shows nothing, and removeAbandoned removes its remains when they are old', async () => {
  const store = createDiskStore({ directory });
  await store.put('dir/old', 'before');
  for (const key of ['dir/old', 'dir/new']) {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'put-without-end.ts'), directory, key], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  expect(await collect(store.list(''))).toEqual([{ key: 'dir/old', bytes: 6 }]);
  expect(await text(await store.get('dir/old'))).toBe('before');
  expect(await countTmpFiles(directory)).toBe(2);

  expect(await store.removeAbandoned(60_000)).toBe(0);
  const anHourLater = createDiskStore({ directory, now: () => Date.now() + 3_600_000 });
  expect(await anHourLater.removeAbandoned(60_000)).toBe(2);
  expect(await countTmpFiles(directory)).toBe(0);
});

test('a key is refused when it is a folder or below a file', async () => {
  const store = createDiskStore({ directory });
  await store.put('dir/file', 'x');
  await expect(store.put('dir', 'y')).rejects.toMatchObject({ code: 'invalid_key' });
  await expect(store.put('dir/file/below', 'y')).rejects.toMatchObject({ code: 'invalid_key' });
  expect(await collect(store.list(''))).toEqual([{ key: 'dir/file', bytes: 1 }]);
  expect(await countTmpFiles(directory)).toBe(0);
});

test('files in the directory that are not the store’s are not listed', async () => {
  const store = createDiskStore({ directory });
  await store.put('file', 'x');
  await mkdir(path.join(directory, 'lost+found'));
  expect(await collect(store.list(''))).toEqual([{ key: 'file', bytes: 1 }]);
});

async function* stream(...chunks: Uint8Array[]) {
  yield* chunks;
}

test.runIf(mayMount())('a full disk is no_space and leaves nothing (runs where tmpfs may be mounted)', async () => {
  const disk = await mountSmallDisk(1024);
  try {
    const store = createDiskStore({ directory: disk.directory });
    await store.put('kept', 'before');
    const refusal = { name: 'FileStoreError', code: 'no_space', cause: expect.objectContaining({ code: 'ENOSPC' }) };
    await expect(
      store.put('kept', stream(Buffer.alloc(512 * 1024), Buffer.alloc(512 * 1024), Buffer.alloc(512 * 1024))),
    ).rejects.toMatchObject(refusal);
    await expect(store.put('new', Buffer.alloc(2 * 1024 * 1024))).rejects.toMatchObject(refusal);
    expect(await countTmpFiles(disk.directory)).toBe(0);
    expect(await text(await store.get('kept'))).toBe('before');
    expect(await store.put('fits', Buffer.alloc(512 * 1024))).toEqual({ bytes: 512 * 1024 });
  } finally {
    await disk.unmount();
  }
});

test.runIf(mayMount())('a read-only disk is read_only (runs where tmpfs may be mounted)', async () => {
  const disk = await mountSmallDisk(1024);
  try {
    const store = createDiskStore({ directory: disk.directory });
    await store.put('dir/file', 'x');
    await disk.setReadOnly(true);
    const refusal = { name: 'FileStoreError', code: 'read_only', cause: expect.objectContaining({ code: 'EROFS' }) };
    await expect(store.put('new', 'x')).rejects.toMatchObject(refusal);
    await expect(store.delete('dir/file')).rejects.toMatchObject(refusal);
    await expect(store.deletePrefix('dir/')).rejects.toMatchObject(refusal);
    expect(await text(await store.get('dir/file'))).toBe('x');
  } finally {
    await disk.unmount();
  }
});
