import { randomUUID } from 'node:crypto';
import { open, opendir, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { ignoreMissing, throwStoreError } from './disk-error.ts';
import { assertKey, assertPrefix, assertRange, FileStoreError, isKey } from './file-store.ts';
import type { FileStore, StoredFile } from './file-store.ts';
import { inFolder, makeFolder, syncFolder } from './folder.ts';
import { writeSource } from './write-source.ts';

export interface DiskStoreOptions {
  /** The first put creates it. Only the store writes in it, and all of it is on one filesystem. */
  directory: string;
  /** Milliseconds since the epoch; default `Date.now`. */
  now?: () => number;
}

const readBytes = 64 * 1024;

/** It is beside the keys' folders, on the same filesystem. No key can contain `~`. */
const tmpFolder = 'tmp~';

/**
 * A store on a local disk. Each file's path is its key. A put writes under `tmp~`, fsyncs the file, renames it to its
 * path and fsyncs the folder. Any number of processes may share the directory.
 */
export function createDiskStore({ directory, now = Date.now }: DiskStoreOptions): FileStore {
  const root = path.resolve(directory);
  const tmpRoot = path.join(root, tmpFolder);
  const newTmp = () => path.join(tmpRoot, randomUUID());

  return {
    async put(key, source, { signal } = {}) {
      assertKey(key);
      signal?.throwIfAborted();
      const target = path.join(root, key);
      const folder = path.dirname(target);
      const tmp = newTmp();
      try {
        const handle = await inFolder(tmpRoot, () => open(tmp, 'wx', 0o600)).catch(throwStoreError);
        let bytes: number;
        try {
          bytes = await writeSource(handle, source, signal);
          await handle.sync().catch(throwStoreError);
        } finally {
          await handle.close();
        }
        signal?.throwIfAborted();
        await inFolder(folder, () => rename(tmp, target)).catch(throwStoreError);
        await syncFolder(folder).catch(throwStoreError);
        return { bytes };
      } catch (error) {
        // The first error counts. What cannot be removed now, removeAbandoned removes later.
        await rm(tmp, { force: true }).catch(() => {});
        throw error;
      }
    },

    async get(key, range = {}) {
      assertKey(key);
      assertRange(range);
      const handle = await openFile(path.join(root, key)).catch(throwStoreError);
      if (!handle) throw new FileStoreError('not_found', `no such file: ${key}`);
      const { start = 0, end } = range;
      if (start === end) {
        await handle.close();
        return Readable.from([]);
      }
      return handle.createReadStream({
        start,
        ...(end !== undefined && { end: end - 1 }),
        highWaterMark: readBytes,
      });
    },

    async size(key) {
      assertKey(key);
      return await fileSize(path.join(root, key)).catch(throwStoreError);
    },

    async delete(key) {
      assertKey(key);
      const target = path.join(root, key);
      return await deleteFile(target).catch(throwStoreError);
    },

    async deletePrefix(prefix) {
      assertPrefix(prefix);
      if (prefix === '') throw new FileStoreError('invalid_key', 'the prefix to delete is empty');
      await deleteFolder(path.join(root, prefix.slice(0, -1)), newTmp()).catch(throwStoreError);
    },

    async *list(prefix) {
      assertPrefix(prefix);
      try {
        yield* filesBelow(root, prefix);
      } catch (error) {
        throwStoreError(error);
      }
    },

    async removeAbandoned(olderThanMs) {
      return await deleteUntouchedSince(now() - olderThanMs, tmpRoot).catch(throwStoreError);
    },
  };
}

async function openFile(file: string): Promise<FileHandle | undefined> {
  const handle = await open(file, 'r').catch(ignoreMissing);
  if (!handle) return undefined;
  // Opening a folder succeeds; only reading it fails.
  const found = await handle.stat();
  if (found.isFile()) return handle;
  await handle.close();
  return undefined;
}

async function fileSize(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(ignoreMissing);
  return found?.isFile() ? found.size : undefined;
}

async function deleteFile(file: string): Promise<boolean> {
  // Systems differ in unlink's error for a folder, so a folder is recognized here.
  if ((await fileSize(file)) === undefined) return false;
  const deleted = await unlink(file).then(() => true, ignoreMissing);
  if (!deleted) return false;
  await syncFolder(path.dirname(file));
  return true;
}

/** Moves the folder away whole before deleting its files, so that nobody sees a part of it. */
async function deleteFolder(folder: string, tmp: string): Promise<void> {
  const found = await stat(folder).catch(ignoreMissing);
  if (!found?.isDirectory()) return;
  await makeFolder(path.dirname(tmp));
  await rename(folder, tmp).catch(ignoreMissing);
  await syncFolder(path.dirname(folder));
  await rm(tmp, { recursive: true, force: true });
}

async function* filesBelow(root: string, prefix: string): AsyncGenerator<StoredFile> {
  const folder = await opendir(path.join(root, prefix)).catch(ignoreMissing);
  if (!folder) return;
  for await (const entry of folder) {
    // Not a key's name: tmp~, lost+found and the like.
    if (!isKey(entry.name)) continue;
    const key = prefix + entry.name;
    if (entry.isDirectory()) {
      yield* filesBelow(root, `${key}/`);
    } else {
      const bytes = await fileSize(path.join(root, key));
      if (bytes !== undefined) yield { key, bytes };
    }
  }
}

async function deleteUntouchedSince(sinceMs: number, tmpRoot: string): Promise<number> {
  let deleted = 0;
  for (const name of (await readdir(tmpRoot).catch(ignoreMissing)) ?? []) {
    const tmp = path.join(tmpRoot, name);
    const found = await stat(tmp).catch(ignoreMissing);
    if (!found || found.mtimeMs > sinceMs) continue;
    await rm(tmp, { recursive: true, force: true });
    deleted += 1;
  }
  return deleted;
}
