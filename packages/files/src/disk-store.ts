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
  /** Made when the first file is put. It belongs to the store alone, and lies on one filesystem. */
  directory: string;
  /** Milliseconds since the epoch; default `Date.now`. */
  now?: () => number;
}

const readBytes = 64 * 1024;

/** Beside the keys' folders, on the same filesystem; no key can have its `~`. */
const tmpFolder = 'tmp~';

/**
 * Files on a local disk, each at the path its key spells: written under `tmp~`, fsynced, renamed to its place, and the
 * folder fsynced. Any number of processes may share the directory.
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
        const handle = await inFolder(tmpRoot, () => open(tmp, 'wx')).catch(throwStoreError);
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
        // What cannot be removed now is left to removeAbandoned: the first error is the one to tell.
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
  // A folder opens as well as a file, and fails only when it is read.
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
  // What unlink says of a folder differs between systems, so it is not left to unlink.
  if ((await fileSize(file)) === undefined) return false;
  const deleted = await unlink(file).then(() => true, ignoreMissing);
  if (!deleted) return false;
  await syncFolder(path.dirname(file));
  return true;
}

/** Takes the folder out of sight as a whole before deleting what is in it, so that nobody meets half of it. */
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
    // tmp~, lost+found and the like.
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
